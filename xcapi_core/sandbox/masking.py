"""A request's headers, fit to be shown: what signs or identifies is masked, what teaches stays. Pure."""

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["MASK", "masked_headers"]

MASK: Final = "***"
# Protocol facts, the same for everybody, or of no use to a thief.
_SHOWN_OAUTH_PARAMETERS: Final = frozenset({"oauth_signature_method", "oauth_version", "oauth_timestamp", "realm"})
_SHOWN_HEADERS: Final = frozenset({"host", "content-type", "content-length", "user-agent", "accept", "accept-encoding"})
_PARAMETER = re.compile(r'([\w-]+)="[^"]*"')


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers worth showing: credentials masked, everything unknown left out."""
    shown = {name: value for name, value in headers.items() if name in _SHOWN_HEADERS}
    authorization = headers.get("authorization")
    if authorization is not None:
        shown["authorization"] = _masked_authorization(authorization)
    if "x-pixel-token" in headers:
        shown["x-pixel-token"] = MASK
    return shown


def _masked_authorization(authorization: str) -> str:
    if not authorization.lower().startswith("oauth "):
        return MASK
    # Rebuilt from what is recognised, so that nothing slips through between the quotes.
    parameters = [
        match.group(0) if match.group(1) in _SHOWN_OAUTH_PARAMETERS else f'{match.group(1)}="{MASK}"'
        for match in _PARAMETER.finditer(authorization)
    ]
    return "OAuth " + ", ".join(parameters)
