"""One event's bytes → its JSON value, leniently where that is safe."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from xcapi_core.problems import Problem

__all__ = [
    "BYTE_ORDER_MARK",
    "DECODING_ERRORS",
    "JSON_SPACE",
    "colons_in",
    "decode_event",
    "decode_every_value",
    "decode_text",
]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
JSON_SPACE = b" \t\r\n"
# JavaScript cuts an emoji in two and escapes the half, a surrogate alone, which RFC 8259 allows and no UTF-8 can hold.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_UNREADABLE_NUMBER = Decimal("Infinity")

# All that a decoder can raise at bytes from outside; the arithmetic one is Decimal's at an exponent of many digits.
DECODING_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError, ValueError)

_encode_again: Final = msgspec.json.Encoder().encode
_strict: Final[Callable[[bytes | str], object]] = msgspec.json.Decoder(float_hook=Decimal).decode


def decode_event(event_bytes: bytes) -> object | Problem:
    """Return the JSON value of one event, fractions as Decimal, or the problem why it is none.

    Of a key that comes twice the last value counts. A surrogate without its other half becomes U+FFFD, and a number too
    long to be read Infinity, which is no amount, time or count: it is judged where it stands, not the whole event.
    """
    try:
        return _strict(event_bytes)
    except DECODING_ERRORS:
        pass
    try:
        value = _decode_leniently(event_bytes.removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError:
        found = "bytes that are no UTF-8"
    except RecursionError:
        found = "JSON nested too deeply"
    except DECODING_ERRORS:
        found = "text that is no JSON" if event_bytes else "nothing"
    else:
        return value
    return Problem(path="$", found=found, expected="a JSON object")


def colons_in(value: object) -> int:
    """Return how many colons a decoded value has as JSON: as many as it came with, if nothing in it was named twice.

    A name that is lost to the decoder had its colon all the same. A colon that came escaped looks like one more.
    -1 for a problem, and for a value that cannot be encoded.
    """
    if isinstance(value, Problem):
        return -1
    try:
        return _encode_again(value).count(b":")
    except (*DECODING_ERRORS, TypeError):  # a number of many digits; what no decoder gives
        return -1


def decode_text(text: str) -> object:
    """Return the JSON value of a text, in which lone surrogates and control characters may stand.

    Raises one of DECODING_ERRORS.
    """
    try:
        return _strict(text)
    except DECODING_ERRORS:
        value: object = _last_values.decode(text)
        return value


def decode_every_value(text: str) -> object:
    """Return a JSON value in which an object that names one thing twice, and differently, is a list.

    The list holds the object as other readers see it, with the last value, and one object for each value that is lost
    so. Of a row, which has a key, it holds besides the last values one with a list of all values for each name: it
    takes the key to tell what the value is. Raises one of DECODING_ERRORS.
    """
    value: object = _every_value.decode(text)
    return value


def _with_lost_values(members: list[tuple[str, object]]) -> object:
    last = dict(members)
    if len(last) == len(members):
        return last
    lost: list[object] = [{name: value} for name, value in members if value != last[name]]
    if not lost:
        return last
    if all(name.strip().lower() != "key" for name in last):
        return [last, *lost]
    every: dict[str, list[object]] = {}
    for name, value in members:
        every.setdefault(name, []).append(value)
    return [last, every]


def _decode_leniently(text: bytes) -> object:
    try:
        return _decode(text)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(_without_lone_surrogate, text)
        if mended == text:
            raise
        return _decode(mended)


def _decode(text: bytes) -> object:
    try:
        return _strict(text)
    except (msgspec.ValidationError, ArithmeticError):
        # Python refuses integers of more than 4,300 digits, and Decimal exponents of more than 18. Only this decoder
        # asks about each number.
        return json.loads(
            text.decode(), parse_int=_readable_integer, parse_float=_fraction, parse_constant=_refuse_constant
        )


def _readable_integer(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:
        return _UNREADABLE_NUMBER


def _fraction(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except ArithmeticError:
        return _UNREADABLE_NUMBER


def _refuse_constant(name: str) -> object:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]


def _decoder_of_text(pairs: Callable[[list[tuple[str, object]]], object]) -> json.JSONDecoder:
    return json.JSONDecoder(
        strict=False,
        parse_int=_readable_integer,
        parse_float=_fraction,
        parse_constant=_refuse_constant,
        object_pairs_hook=pairs,
    )


_last_values: Final = _decoder_of_text(dict)
_every_value: Final = _decoder_of_text(_with_lost_values)
