"""Single JSON values: what is text, what is nothing, and how a problem names a kind without quoting it."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeGuard

__all__ = ["first_present", "is_absent", "is_object", "is_url", "kind_of", "read_text"]

# What templates and tag managers write where there is no value, lower-cased.
_NOTHING = frozenset({"", "(not set)", "undefined", "null", "nan", "[object object]"})
_LONGEST_NOTHING = max(map(len, _NOTHING))

_URL = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)

# Beyond it a number is no id of anything, and CPython refuses to print integers of more than 4,300 digits.
_INTEGER_LIMIT = 10**64


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Tell whether `value` is a JSON object."""
    return isinstance(value, dict)


def is_absent(value: object) -> bool:
    """Tell whether a field says nothing at all: it is missing, null or blank text."""
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def first_present(fields: Mapping[str, object], names: tuple[str, ...]) -> tuple[str, object]:
    """Return the first of `names` that is not absent, with its value; ("", None) where all are."""
    for name in names:
        value = fields.get(name)
        if not (value is None or (value.__class__ is str and is_absent(value))):
            return name, value
    return "", None


def read_text(value: object) -> str | None:
    """Return trimmed text, or None where there is no value.

    Integers are text, since publishers send ids as either. Fractions, booleans, lists and objects are no text;
    nor are the words for nothing ("undefined", "(not set)", …). Lone surrogates, which no UTF-8 can carry,
    become U+FFFD, so that what is returned can always be encoded.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii():
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return None if len(text) <= _LONGEST_NOTHING and text.lower() in _NOTHING else text
    if isinstance(value, int) and not isinstance(value, bool) and -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
        return str(value)
    return None


def is_url(text: str) -> bool:
    """Tell whether this may be a page's address: an http scheme, a host, no white space.

    Whether it exists is nobody's business here.
    """
    return _URL.fullmatch(text) is not None


def kind_of(value: object) -> str:
    """Name what stands there, for a problem's `found`, without quoting any of it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float() | Decimal():
            return "a number"
        case str():
            return "text" if value.strip() else "blank text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "something that is not JSON"
