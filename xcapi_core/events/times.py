"""When a conversion happened: from ISO 8601 or an epoch number to X's one form."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

__all__ = ["read_time", "wire_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# X's advertising is younger than this. What lies before it is a date read as seconds (20260420), a zero, or
# another kind of number altogether.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

# Epoch numbers tell their unit by their magnitude: below the first limit seconds (until the year 5138), below
# the second milliseconds, below the third microseconds.
_MICROSECONDS_A_UNIT = ((10**11, 10**6), (10**14, 10**3), (10**17, 1))

_EPOCH_TEXT = re.compile(r"[0-9]{1,17}(?:\.[0-9]{1,9})?")
_SPACE_BEFORE_OFFSET = re.compile(r" +(?=[+-][0-9:]+$|Z$)")
_LONGEST_TIME_TEXT = 64
# The length of an ISO 8601 time, up to its date, its seconds and its milliseconds.
_DATE = len("2026-04-20")
_SECONDS = len("2026-04-20T12:34:56")
_MILLISECONDS = _SECONDS + len(".000")


def read_time(value: object) -> datetime | None:
    """Return the UTC time that `value` names, None where it names none from 2000 to 9999.

    ISO 8601 with any offset; without one it is UTC, and a date alone is its midnight. Epoch seconds, milliseconds
    or microseconds, as a number or as text, told apart by magnitude.
    """
    if not isinstance(value, str):
        time = _read_epoch(value)
    # As most write it; what does not read so may still be something else.
    elif value[_DATE : _DATE + 1] != "T" or (time := _read_standard(value)) is None:
        time = _read_iso_8601(value.strip())
    return time if time is not None and time >= _EARLIEST else None


def wire_time(time: datetime) -> str:
    """Write a time as X takes it: UTC, milliseconds (cut, not rounded), `Z`."""
    # msgspec writes RFC 3339 in UTC, with no fraction or six digits of it, in a tenth of isoformat's time.
    text: str = msgspec.to_builtins(time if time.tzinfo is UTC else time.astimezone(UTC))
    return f"{text[:_SECONDS]}.000Z" if len(text) == _SECONDS + 1 else f"{text[:_MILLISECONDS]}Z"


def _read_iso_8601(text: str) -> datetime | None:
    if len(text) > _LONGEST_TIME_TEXT:
        return None
    if _EPOCH_TEXT.fullmatch(text):
        return _read_epoch(Decimal(text) if "." in text else int(text))
    # BigQuery prints "2026-04-20 12:34:56 UTC", Ruby "… +0000".
    text = text.upper().removesuffix("UTC").rstrip() + "Z" if text[-3:].upper() == "UTC" else text.upper()
    return _read_standard(_SPACE_BEFORE_OFFSET.sub("", text))


def _read_standard(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _read_epoch(value: object) -> datetime | None:
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, Decimal) and not value.is_finite():
        return None
    if value <= 0:
        return None
    for limit, microseconds in _MICROSECONDS_A_UNIT:
        if value < limit:
            try:
                return _EPOCH + timedelta(microseconds=int(value * microseconds))
            except OverflowError:
                return None
    return None
