"""Amounts, counts and currencies: read and written as decimals, never through binary floating point."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

from xcapi_core.events.fields import cut_invisible

__all__ = ["read_amount", "read_count", "read_currency", "read_micros", "wire_amount"]

_ZERO = Decimal(0)
_TOO_MUCH = Decimal(10**15)

# Far above any price, far below what would take memory to write out: 1E+999999999 is a finite number too.
_INTEGER_DIGITS = 15
_MICROS_DIGITS = _INTEGER_DIGITS + 6
# More decimals than any currency has, enough for what binary floating point leaves behind in publishers' numbers.
_DECIMALS = 18
_LONGEST_NUMBER_TEXT = 64
_LONGEST_CODE = 64
_LARGEST_COUNT = 2**31 - 1

# Stricter than Decimal(), which also takes "1_000", "Infinity" and other scripts' digits.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_WIDE = Context(prec=_MICROS_DIGITS + _DECIMALS, rounding=ROUND_HALF_EVEN, traps=[])


def read_amount(value: object) -> Decimal | None:
    """Return a finite amount ≥ 0 below 10¹⁵, from a number or numeric text; None for anything else."""
    if value.__class__ is Decimal and value.is_finite() and _ZERO < value < _TOO_MUCH:
        return value
    return _read_non_negative(value, _INTEGER_DIGITS)


def read_micros(value: object) -> Decimal | None:
    """Return the amount that `value` millionths are, as `read_amount` would."""
    micros = _read_non_negative(value, _MICROS_DIGITS)
    return None if micros is None else micros.scaleb(-6, context=_WIDE)


def wire_amount(amount: Decimal) -> str:
    """Write an amount as X takes it: plain decimal text with at least two decimals, at most 18.

    X documents a double and rejects integers [peers]; "200.00" is what passes.
    """
    text = str(amount)
    # As most prices are written; with an exponent, no point stands at either place.
    if text[-3:-2] == ".":
        return text
    if text[-2:-1] == ".":
        return f"{text}0"
    whole, _, decimals = f"{amount:.{_DECIMALS}f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def read_count(value: object) -> int | None:
    """Return a whole number from 1 to 2³¹ - 1, from a number or numeric text; None for anything else."""
    # Databases export integers as text.
    if isinstance(value, str) and len(value) < _LONGEST_NUMBER_TEXT and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 < value <= _LARGEST_COUNT else None
    number = _read_non_negative(value, _INTEGER_DIGITS)
    if number is None or number != number.to_integral_value(context=_WIDE):
        return None
    return int(number) if 0 < number <= _LARGEST_COUNT else None


def read_currency(value: object) -> str | None:
    """Return three letters, upper-cased; None for anything else, "NaN" and "nil" included."""
    return _read_code(value) if isinstance(value, str) and len(value) <= _LONGEST_CODE else None


@lru_cache(maxsize=1_024)  # a stream has a few currencies
def _read_code(text: str) -> str | None:
    currency = cut_invisible(text).strip().upper()
    return currency if _CURRENCY.fullmatch(currency) and currency not in {"NAN", "NIL"} else None


def _read_non_negative(value: object, integer_digits: int) -> Decimal | None:
    number = value if value.__class__ is Decimal else _read_number(value, integer_digits)
    # Judged by its exponent, before anything would write the number out.
    if number is None or not number.is_finite() or number < _ZERO:
        return None
    if not number:
        return _ZERO  # drops a sign and an exponent, either of which would be written: -0.0, 0E+999999999
    return number if number.adjusted() < integer_digits else None


def _read_number(value: object, integer_digits: int) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int):
        in_range = not isinstance(value, bool) and 0 <= value < 10**integer_digits
        return Decimal(value) if in_range else None
    if isinstance(value, float):
        return Decimal(repr(value))  # the digits that its author wrote, from a decoder without a float hook
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER_TEXT:
        text = cut_invisible(value).strip()
        return Decimal(text) if _NUMBER.fullmatch(text) else None
    return None
