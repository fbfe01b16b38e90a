"""Single JSON values: what is text, an id, nothing, and how a problem names a kind without quoting it."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeGuard
from urllib.parse import unquote_plus

from xcapi_core.events.decoding import DECODING_ERRORS, decode_text

__all__ = [
    "WORDS_FOR_NOTHING",
    "cut_invisible",
    "is_absent",
    "is_no_amount",
    "is_object",
    "json_in_text",
    "kind_of",
    "read_id",
    "read_text",
]

# What templates, tag managers, databases and languages write where there is no value, and the kinds of field that it
# is nothing in. Compared without case, brackets and quotes, alone or several in a row; "" stands for joints alone.
WORDS_FOR_NOTHING: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(
        (
            "",
            "data not available",
            "n/a",
            "nan",
            "nil",
            "none",
            "not set",
            "null",
            "object object",
            "optional nil",
            "other",
            "undefined",
            "unknown",
        ),
        frozenset({"id", "amount"}),
    ),
    # An amount of 0 is one, and `false` in its place is a mistake that its author should see.
    **dict.fromkeys(("0", "false"), frozenset({"id"})),
}
# Free text may be any word but these, as they stand: "none" is a thing to search for.
_NO_FREE_TEXTS: Final = frozenset({"", "(not set)", "undefined", "null"})
_LONGEST_NO_FREE_TEXT: Final = max(map(len, _NO_FREE_TEXTS))

_JOINTS: Final = re.compile(r"[\s,_()\[\]{}<>\"'`-]+")  # brackets and quotes among them
_UNDEFINED_PART: Final = re.compile(r"(?<![0-9a-z])undefined(?![0-9a-z])|\[object ")
# A template's leftover: anywhere in a text, and as all of it. A GUID in braces is none.
_LEFTOVER: Final = re.compile(r"\{\{.*?\}\}|\$\{.*?\}", re.DOTALL)
_GUID_BEGINS: Final = "(?![0-9a-fA-F]{8}-)"


def _whole_leftover(further: str) -> re.Pattern[str]:
    name = rf"{_GUID_BEGINS}[^\W\d](?:{further})*"
    return re.compile(rf"%%?{name}%%?|__{name}__|\[+{name}\]+|<+{name}>+|\{{{name}\}}")


# In an id the name may have several words; free text in brackets may just be that.
_WHOLE_LEFTOVER: Final = _whole_leftover(r"[\w.:-]| (?=\w)")
_WHOLE_LEFTOVER_OF_TEXT: Final = _whole_leftover(r"[\w.:-]")
_OPENINGS: Final = frozenset("%_[<{")
# What nearly every id is, and what no word for nothing and no leftover is: no bracket, a digit but 0. "Undefined" may
# stand beside one.
_ORDINARY_ID: Final = re.compile(r"(?!__)[0A-Za-z.:#_-]*+[1-9][0-9A-Za-z.:#_-]*+")

# Beyond it a number is no id of anything, and CPython refuses to print integers of more than 4,300 digits.
_ID_DIGITS: Final = 64
_INTEGER_LIMIT: Final = 10**_ID_DIGITS


def _pattern_of(kind: str) -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word, kinds in WORDS_FOR_NOTHING.items() if word and kind in kinds)
    word = rf"(?:{words.replace('|0|', '|0+(?:[.]0+)?|')})"
    return re.compile(rf"(?:{word}(?: {word})*)?")


_NO_ID: Final = _pattern_of("id")
_NO_AMOUNT: Final = _pattern_of("amount")


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Tell whether `value` is a JSON object."""
    return isinstance(value, dict)


def is_absent(value: object) -> bool:
    """Tell whether a field says nothing at all: it is missing, null or blank text."""
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def is_no_amount(value: object) -> bool:
    """Tell whether a field for an amount or a currency says nothing: absent, or a word or leftover in its place."""
    if isinstance(value, str):
        return _says_nothing(cut_invisible(value).strip(), _NO_AMOUNT)
    return value is None or (isinstance(value, list | dict) and not value)


def read_text(value: object) -> str | None:
    """Return trimmed free text, or None where there is none: blank, one of a few words, or a template's leftover.

    Integers are text. Fractions, booleans, lists and objects are none. Lone surrogates, which no UTF-8 can carry,
    become U+FFFD, so that what is returned can always be encoded.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii():
            text = _without_lone_surrogates(text)
        if len(text) <= _LONGEST_NO_FREE_TEXT and text.lower() in _NO_FREE_TEXTS:
            return None
        if ("%" in text or "+" in text) and any(map(_is_no_free_text, _url_decoded(text))):
            return None
        is_leftover = ("{" in text or text[:1] in _OPENINGS) and _is_leftover(text, _WHOLE_LEFTOVER_OF_TEXT)
        return None if is_leftover else text
    return _integer_as_text(value) if isinstance(value, int) else None


def read_id(value: object) -> str | None:
    """Return a dedup key, a click id or a content id as text, None where there is none.

    Invisible characters are cut. A number without a fraction is an id, written without one; words for nothing and
    templates' leftovers are none.
    """
    if isinstance(value, str):
        if _ORDINARY_ID.fullmatch(value) and "und" not in value.lower():
            return value
        text = cut_invisible(value).strip()
        return None if _says_nothing(text, _NO_ID) else _without_lone_surrogates(text)
    return _integer_as_text(value) if value else None


def cut_invisible(text: str) -> str:
    """Return the text without control and format characters (Unicode Cc and Cf), such as a zero-width space."""
    if text.isprintable():
        return text
    return "".join([character for character in text if unicodedata.category(character) not in {"Cc", "Cf"}])


def json_in_text(value: object, decode: Callable[[str], object] = decode_text) -> object:
    """Return the object or list that `value` is JSON text of, itself encoded as text or not; else `value`."""
    inner = value
    while isinstance(inner, str):
        if not inner.lstrip().startswith(("{", "[", '"')):
            return value
        try:
            inner = decode(inner)
        except DECODING_ERRORS:
            return value
    return inner if isinstance(inner, list | dict) else value


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


def _says_nothing(text: str, words: re.Pattern[str]) -> bool:
    """Tell whether an id or amount says nothing, as it stands or URL-decoded."""
    for form in (text, *_url_decoded(text)) if "%" in text or "+" in text else (text,):
        lowered = form.lower()
        if (
            words.fullmatch(_JOINTS.sub(" ", lowered).strip())
            or _UNDEFINED_PART.search(lowered)
            or _is_leftover(form, _WHOLE_LEFTOVER)
        ):
            return True
    return False


def _url_decoded(text: str) -> tuple[str, str]:
    """Return what a text is when URL-decoded once, as in a query string, and twice."""
    once = unquote_plus(text)
    return once, unquote_plus(once)


def _is_no_free_text(text: str) -> bool:
    return text.strip().lower() in _NO_FREE_TEXTS or _is_leftover(text, _WHOLE_LEFTOVER_OF_TEXT)


def _is_leftover(text: str, whole: re.Pattern[str]) -> bool:
    if ("{{" in text or "${" in text) and _LEFTOVER.search(text) is not None:
        return True
    return text[:1] in _OPENINGS and whole.fullmatch(text) is not None


def _without_lone_surrogates(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _integer_as_text(value: object) -> str | None:
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite() or value.adjusted() >= _ID_DIGITS or value != value.to_integral_value():
            return None
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
        return str(value)
    return None
