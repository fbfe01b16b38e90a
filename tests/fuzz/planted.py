"""Personal values and secrets that are planted in inputs, and the search for them in what comes out.

Each is distinctive: if it shows in a log line, a problem's text, an exception or a `repr`, it came from the input.
Their digests are as personal as they are.
"""

import re
from hashlib import sha256
from typing import Final

__all__ = ["PERSONAL", "SECRETS", "Leaked", "assert_discreet", "shows_planted"]

PERSONAL: Final = {
    "email": "zq7k.jane@leak.example",
    "phone": "+442079460947",
    "twclid": "2zq7kclick0id",
    "ip_address": "203.0.113.77",
    "user_agent": "Zq7kBrowser/1.0 (leak)",
    "hashed_email": "5eed" * 16,
    "hashed_phone_number": "0f1e" * 16,
}
SECRETS: Final = ("zq7kConsumerSecret0123456789abcdef", "zq7k-0123456789-pixel-token-9876543210")

_DIGESTS = [sha256(PERSONAL[name].encode()).hexdigest() for name in ("email", "phone")]
_PLANTED: Final = re.compile(
    "|".join(["zq7k", re.escape(PERSONAL["ip_address"]), "2079460947", "(?:5eed){4}", "(?:0f1e){4}", *_DIGESTS]),
    re.IGNORECASE,
)

# Of a configuration short words are quoted back, since people misspell them; of a key no more than its beginning.
_SECRET_PARTS: Final = re.compile("|".join(re.escape(secret[:17]) for secret in SECRETS))


class Leaked(AssertionError):  # noqa: N818 - a finding
    """A planted value came out where nothing personal may be."""


def assert_discreet(where: str, text: str, *, secrets_only: bool = False) -> None:
    """Raise Leaked where a planted value shows in `text`."""
    found = (_SECRET_PARTS if secrets_only else _PLANTED).search(text)
    if found:
        raise Leaked(f"{where} shows {found[0]!r}: …{text[max(0, found.start() - 80) : found.end() + 20]!r}…")


def shows_planted(text: str) -> bool:
    """Tell whether a planted value shows in `text`."""
    return _PLANTED.search(text) is not None
