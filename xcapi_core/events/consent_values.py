"""Single values of consent signals: words for yes and no, lists of ids, and coded strings."""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final

from xcapi_core.events.decoding import decode_every_value
from xcapi_core.events.fields import cut_invisible, is_absent, is_object, json_in_text
from xcapi_core.events.shapes import as_list

__all__ = [
    "TYPED_COLUMNS",
    "Consent",
    "are_columns",
    "ids_in",
    "opened_json",
    "quoted",
    "read_ads_storage",
    "read_answer",
    "read_gcd",
    "read_gcs",
    "read_opt_out",
    "read_tracking_enabled",
    "read_us_privacy",
    "squeezed",
    "typed_values",
]


class Consent(Enum):
    """What an event, or one field of it, says."""

    YES = "yes"
    NO = "no"
    UNSAID = "unsaid"


_SQUEEZED_NAME: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "_- \t\n\r\f\v")


_LONGEST_KEPT: Final = 40


def squeezed(name: str) -> str:
    """Return a name as it is compared: without ASCII case, `_`, `-`, white space, invisible characters."""
    return _squeezed_short(name) if len(name) <= _LONGEST_KEPT else _squeezed(name)


def _squeezed(name: str) -> str:
    return cut_invisible(name).translate(_SQUEEZED_NAME)


_squeezed_short: Final = lru_cache(maxsize=2_048)(_squeezed)  # events of one publisher have the same names


def quoted(name: str) -> bytes:
    """Return a name as it stands in JSON, unless it is escaped."""
    return b'"%b"' % name.encode("utf-8", "replace")


# The columns in which exports, and Avro's unions, keep a value by its type. The others are null.
TYPED_COLUMNS: Final = frozenset(
    {"boolean", "boolvalue", "double", "doublevalue", "float", "floatvalue", "int", "intvalue", "long", "string"}
    | {"stringvalue", "value"}
)


# What Google Analytics keeps beside the value of a user's property.
_SET_AT: Final = "settimestampmicros"


def typed_values(value: object) -> Sequence[object]:
    """Return what a value says that is wrapped with its type, once or more, else the value itself."""
    if not is_object(value):
        return (value,)
    typed: list[object] = []
    wrapped: list[object] = [value]
    for outer in wrapped:
        columns = _columns(outer)
        if columns is None:
            typed.append(outer)
        else:
            wrapped += columns
    return typed


def are_columns(names: Collection[str]) -> bool:
    """Tell whether an object of these names has columns of types and nothing else."""
    return 0 < len(names) <= len(TYPED_COLUMNS) + 1 and all(
        column in TYPED_COLUMNS or column == _SET_AT for column in map(squeezed, names)
    )


def _columns(value: object) -> list[object] | None:
    """Return the values of an object of typed columns, None for everything else."""
    if not is_object(value) or not are_columns(value):
        return None
    return [inner for name, inner in value.items() if inner is not None and squeezed(name) != _SET_AT]


def opened_json(value: object) -> object:
    """Return what JSON text stands for, with all that its objects say where they name one thing twice."""
    return json_in_text(value, decode_every_value) if isinstance(value, str) else value


# No words for nothing are among these: a consent that is "undefined" was not given.
_YES_WORDS: Final = frozenset({"granted", "allowed", "true", "yes", "1"})
_NO_WORDS: Final = frozenset({"denied", "disallowed", "false", "no", "n", "f", "0"})
_TRUE_WORDS: Final = frozenset({"true", "yes", "y", "t", "1"})
_FALSE_WORDS: Final = frozenset({"false", "no", "n", "f", "0"})


def _is_one_of(value: object, words: frozenset[str], number: int) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in words
    if isinstance(value, Decimal):
        return value.is_finite() and value == number
    return isinstance(value, int | float) and value == number


def read_answer(value: object) -> Consent | None:
    """Read a field that can grant: true, 1, "granted" and the like are a yes; None where it is neither yes nor no."""
    if _is_one_of(value, _YES_WORDS, 1):
        return Consent.YES
    return Consent.NO if _is_one_of(value, _NO_WORDS, 0) else None


def read_opt_out(value: object) -> Consent | None:
    """Read a field that withdraws consent where it is true."""
    return _withdrawal(value, no=_TRUE_WORDS, number=1, back=_FALSE_WORDS)


def read_tracking_enabled(value: object) -> Consent | None:
    """Read a field that withdraws consent where it is false."""
    return _withdrawal(value, no=_FALSE_WORDS, number=0, back=_TRUE_WORDS)


def read_ads_storage(value: object) -> Consent | None:
    """Read the BigQuery export's `ads_storage`: Yes, No or Unset."""
    is_unset = isinstance(value, str) and value.strip().lower() == "unset"
    return Consent.UNSAID if is_unset else read_answer(value)


def _withdrawal(value: object, *, no: frozenset[str], number: int, back: frozenset[str]) -> Consent | None:
    """Read a field that can only withdraw: a word of `no`, or `number`, is a refusal, a word of `back` takes it back.

    Taking it back says no more than that, and so does blank text.
    """
    if (isinstance(value, str) and is_absent(value)) or _is_one_of(value, back, 1 - number):
        return Consent.UNSAID
    return Consent.NO if _is_one_of(value, no, number) else None


def ids_in(value: object, *, of_grant: bool) -> set[str] | None:
    """Return the ids of a list, or of an object's keys (some providers' form); None where they cannot be read.

    An object with only digits for keys may be a list. Where keys or values may be the ids, both are denied.
    """
    value = opened_json(value)
    if is_object(value):
        is_list = all(name.isdigit() for name in value)
        if of_grant:
            keys = [key for key, granted in value.items() if granted is True or isinstance(granted, str)]
            value = list(value.values()) if is_list else keys
        else:
            value = [*value, *(item for item in value.values() if isinstance(item, str))]
    if not isinstance(value, list):
        return None
    ids = [item for item in value if item is not None]
    if any(isinstance(item, bool) or not isinstance(item, str | int) for item in ids):
        return None
    return {squeezed(str(item)) for item in ids}


def _texts_in(value: object) -> Iterable[str]:
    """Return the text of a coded signal as it is compared, from a list in whatever shape and from JSON as text, too."""
    parts: list[object] = [value]
    for part in parts:
        opened = as_list(part)
        if isinstance(opened, list):
            parts += opened
        elif isinstance(opened, str):
            yield cut_invisible(opened).strip().strip("\"'\\").strip()
        else:
            parts += _columns(opened) or ()


def _any_no_wins(said: Sequence[Consent]) -> Consent:
    if Consent.NO in said:
        return Consent.NO
    return Consent.YES if Consent.YES in said else Consent.UNSAID


_GCS_SAYS: Final = {"0": Consent.NO, "1": Consent.YES}
# The characters of a denial count in capitals too: no refusal should hang on its spelling.
_GCD_SAYS: Final = {
    **dict.fromkeys("nrtv", Consent.YES),
    **dict.fromkeys("mpquMPQU", Consent.NO),
    "l": Consent.UNSAID,
}


def read_gcs(value: object) -> Consent:
    """Read Google's consent status, `G1` and one character a type, of which the first is `ad_storage`."""
    texts = [text for text in _texts_in(value) if text[:2].upper() == "G1"]
    return _any_no_wins([_GCS_SAYS.get(text[2:3], Consent.UNSAID) for text in texts])


def read_gcd(value: object) -> Consent:
    """Read Google's consent defaults: `ad_storage` at index 2, `ad_user_data` at index 6."""
    codes = [text[index : index + 1] for text in _texts_in(value) for index in (2, 6)]
    said = _any_no_wins([_GCD_SAYS.get(code, Consent.UNSAID) for code in codes])
    return said if said is Consent.NO or _GCD_SAYS.keys() >= set(codes) else Consent.UNSAID


def read_us_privacy(value: object) -> Consent:
    """Read the IAB's US privacy string; its third character is the opt-out of sale."""
    return Consent.NO if any(text[2:3] in {"Y", "y"} for text in _texts_in(value)) else Consent.UNSAID
