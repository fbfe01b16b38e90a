"""What the console shows of an event before it is revealed: harmless fields whole, the rest abbreviated. Pure."""

import re
from typing import Final

__all__ = ["Masker", "is_personal_id"]

# Fields that describe the event and nobody. Everything else may be personal, unknown names above all.
_HARMLESS: Final = frozenset(
    {
        *("event", "event_name", "event_id", "event_tag", "type", "name", "action_source", "format", "version"),
        *("conversion_id", "order_id", "transaction_id", "messageId", "message_id"),
        *("time", "conversion_time", "timestamp", "event_time", "sentAt", "receivedAt", "originalTimestamp"),
        *("event_date", "event_timestamp", "timestamp_micros", "conversion_timestamp", "publishTime"),
        *("value", "revenue", "total", "price", "quantity", "currency", "price_currency", "number_items"),
        *("content_id", "content_name", "content_type", "content_group_id", "content_price", "num_items"),
        *("item_id", "item_name", "product_id", "sku", "id"),
        *("pixel_id", "consent", "x-ga-gcs", "x-ga-gcd", "ad_user_data", "ad_personalization"),
        *("library", "channel"),
    }
)
_LONGEST_HARMLESS: Final = 200
_SHOWN: Final = 4
_SHOWN_OF_A_DIGEST: Final = 8
# A number of fewer digits is neither a phone number nor an account.
_LEAST_TELLING_NUMBER: Final = 100_000
# Shorter ones stand in any sentence: they are masked where they are quoted.
_LEAST_UNQUOTED: Final = 6
_DIGEST = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
# Whatever the field is called: addresses, phone numbers, digests.
_TELLING = re.compile(r"@|\+?\d[\d ()/.-]{8,}\d|[0-9a-fA-F]{64}", re.ASCII)
_TELLING_WORD = re.compile(r"[^\s\"(<]+@[^\s\")>]+|\b[0-9a-fA-F]{64}\b", re.ASCII)
_HARMLESS_DIGITS = re.compile(r"\d{4}-\d\d-\d\d.*|\d{8}(\d{2}|\d{5}|\d{8})?", re.ASCII | re.DOTALL)


def is_personal_id(text: str) -> bool:
    """Say whether an id, a name or a tag looks like somebody's address or digest."""
    return "@" in text or _DIGEST.fullmatch(text) is not None


class Masker:
    """Masks JSON values, and remembers what it masked, so that X's words about them can be masked alike."""

    def __init__(self) -> None:
        self._masked: dict[str, str] = {}

    def value(self, value: object, name: str = "") -> object:
        """Return a JSON value with its telling leaves abbreviated; `name` is the field that it stands in."""
        match value:
            case dict():
                return {self._key(key): self.value(inner, str(key)) for key, inner in value.items()}
            case list():
                return [self.value(inner, name) for inner in value]
            case str():
                return self._text(value, name)
            case int() | float() if not isinstance(value, bool):
                telling = name not in _HARMLESS and abs(value) >= _LEAST_TELLING_NUMBER
                return self._abbreviated(str(value)) if telling else value
            case _:
                return value

    def words(self, text: str) -> str:
        """Return a text, such as X's answer, without the values that were masked before, and what looks like one."""
        for value in sorted(self._masked, key=len, reverse=True):
            masked = self._masked[value]
            if len(value) >= _LEAST_UNQUOTED:
                text = text.replace(value, masked)
            else:
                text = text.replace(f"({value})", f"({masked})").replace(f'"{value}"', f'"{masked}"')
        return _TELLING_WORD.sub(lambda found: f"{found[0][:_SHOWN]}…", text)

    def _key(self, key: object) -> str:
        text = str(key)
        return self._abbreviated(text) if _TELLING.search(text) else text

    def _text(self, text: str, name: str) -> str:
        if not text or (name in _HARMLESS and len(text) <= _LONGEST_HARMLESS and not _is_telling(text)):
            return text
        return self._abbreviated(text)

    def _abbreviated(self, text: str) -> str:
        shown = _SHOWN_OF_A_DIGEST if _DIGEST.fullmatch(text) else _SHOWN
        masked = f"{text[:shown]}…" if len(text) > 2 * shown else "…"
        # X cuts what it quotes.
        self._masked |= {text: masked, text[:_LONGEST_HARMLESS]: masked}
        return masked


def _is_telling(text: str) -> bool:
    return _HARMLESS_DIGITS.fullmatch(text) is None and _TELLING.search(text) is not None
