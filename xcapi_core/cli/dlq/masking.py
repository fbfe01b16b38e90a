"""Raw events as they may be shown: identifiers masked wherever they stand, in any dialect's spelling."""

import re
from typing import Final

import msgspec

from xcapi_core.cli.dlq.events_in_data import unpacked
from xcapi_core.cli.dlq.redaction import redact
from xcapi_core.cli.foreign_text import printable

__all__ = ["MASKED", "shown_event", "shown_words"]

MASKED: Final = "…"
# A name that holds one of these is an identifier's; what other fields hold is masked by its looks.
_NAMES: Final = re.compile(
    r"e-?mail|phone|mobile|twclid|gclid|fbclid|msclkid|ttclid|click_?id|(\A|_)ip(_|\Z)|ip_?addr|user_?agent|cookie"
    r"|user_?id|client_?id|anonymous_?id|app_instance_id|device_?id|advertising_?id|idfa|gaid|(first|last|full|sur)_?name"
    r"|address|street|city|zip|postal|birth|gender|token|secret|password",
    re.IGNORECASE,
)
_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_LONGEST_WORDS: Final = 300


def shown_event(event: bytes, *, reveal: bool) -> object:
    """Return an event to be shown as JSON; what is no JSON is text, or a count of bytes where it is not even that."""
    plain = unpacked(event)
    try:
        if plain is None:
            raise UnicodeDecodeError("gzip", event, 0, 1, "damaged")
        value: object = msgspec.json.decode(plain.removeprefix(b"\xef\xbb\xbf"))
    except _ERRORS:
        try:
            text = (plain or event).decode()
        except UnicodeDecodeError:
            return f"[{len(event)} bytes that are no text]"
        return text if reveal else redact(text)
    return value if reveal else _masked(value)


def shown_words(text: str, *, reveal: bool = False) -> str:
    """Return X's words, which quote what they are about, with identifiers masked, cut to a line."""
    words = printable(" ".join((text if reveal else redact(text)).split()))
    return words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]}…"


def _masked(value: object, *, is_identifier: bool = False) -> object:
    if isinstance(value, dict):
        # An exported row names its parameters in `key`, and a list of identifiers in `type` or the like.
        named = value.get("key")
        inherited = is_identifier or (isinstance(named, str) and bool(_NAMES.search(named)))
        return {
            str(name) if not is_identifier else redact(str(name)): (
                inner
                if name == "key" and inner is named
                else _masked(inner, is_identifier=inherited or bool(_NAMES.search(str(name))))
            )
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner, is_identifier=is_identifier) for inner in value]
    if isinstance(value, str):
        if is_identifier:
            return f"{value[:2]}{MASKED}" if len(value) > 8 else MASKED  # noqa: PLR2004 - enough to know one's own by
        return redact(value) if value else value
    if is_identifier and not isinstance(value, bool) and value is not None:
        return MASKED
    return value
