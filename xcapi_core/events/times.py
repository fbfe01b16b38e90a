"""When a conversion happened: from ISO 8601 or an epoch number to X's one form, and whether that is too long ago."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import kind_of
from xcapi_core.events.source import EventSource
from xcapi_core.outcomes import Expired
from xcapi_core.problems import Problem

__all__ = ["expired", "read_time", "settled_time", "wire_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# X's advertising is younger than this. What lies before it is a date read as seconds (20260420), a zero, or
# another kind of number altogether.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

# Epoch numbers tell their unit by their magnitude: below the first limit seconds (until the year 5138), below
# the second milliseconds, below the third microseconds.
_MICROSECONDS_A_UNIT = ((10**11, 10**6), (10**14, 10**3), (10**17, 1))

# Digits that are no epoch of the past may be a date: 10, 14, 16 or 17 of them, down to hours, seconds, hundredths or
# milliseconds. (12, down to minutes, would be an epoch of the 1970s.)
_COMPACT_DATE = re.compile(r"(2[0-9]{3})([0-9]{2})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})([0-9]{2,3})?)?", re.ASCII)
_EPOCH_TEXT = re.compile(r"[0-9]{1,17}(?:\.[0-9]{1,9})?")
_SPACE_BEFORE_OFFSET = re.compile(r" +(?=[+-][0-9:]+$|Z$)")
_LONGEST_TIME_TEXT = 64
# The length of an ISO 8601 time, up to its date, its seconds and its milliseconds.
_DATE = len("2026-04-20")
_SECONDS = len("2026-04-20T12:34:56")
_MILLISECONDS = _SECONDS + len(".000")


# Clocks differ by minutes. What is ahead by more is wrong by a time zone, and beyond two days is no conversion's time.
_SKEW = timedelta(minutes=5)
_FUTURE = timedelta(hours=48)


def read_time(value: object, publish_time: datetime) -> datetime | None:
    """Return the UTC time that `value` names, None where it names none from 2000 to 9999.

    ISO 8601 with any offset; without one it is UTC, and a date alone is its midnight. Epoch seconds, milliseconds
    or microseconds, as a number or as text, told apart by magnitude; where that lies after `publish_time` and the
    digits are a date (`YYYYMMDDhhmmss`), that date.
    """
    time: datetime | None
    if not isinstance(value, str):
        time = _read_digits(value, publish_time)
    # As most write it; what does not read so may still be something else.
    elif value[_DATE : _DATE + 1] != "T" or (time := _read_standard(value)) is None:
        time = _read_text(value.strip(), publish_time)
    return time if time is not None and time >= _EARLIEST else None


def settled_time(given: object, path: str, source: EventSource, dropped: list[Drop]) -> datetime | Problem:
    """Return the time that an event gives, or the problem with it."""
    time = read_time(given, source.publish_time)
    if time is None:
        return Problem(
            path=path,
            found=f"{kind_of(given)} that is no time from 2000 to 9999",
            expected="ISO 8601, YYYYMMDDhhmmss, or epoch seconds, milliseconds or microseconds",
        )
    ahead = time - source.publish_time
    if ahead <= _SKEW:
        return time
    if ahead > _FUTURE:
        return Problem(
            path=path,
            found=f"a time {ahead.total_seconds() / 3600:.1f} hours after the message was published",
            expected="a time that is past, or up to 48 hours ahead by a clock that is wrong",
        )
    dropped.append(Drop.FUTURE_TIME)
    return source.publish_time


def expired(time: datetime, source: EventSource, max_age_hours: float) -> Expired | None:
    """Return Expired where the conversion was more than `max_age_hours` old when its message arrived."""
    age_hours = (source.received_at - time).total_seconds() / 3600
    if age_hours <= max_age_hours:
        return None
    return Expired(
        Problem(
            path="conversion_time",
            found=f"a conversion {age_hours:.1f} hours old",
            expected=f"at most {max_age_hours:g} hours (max_event_age_hours)",
        )
    )


def wire_time(time: datetime) -> str:
    """Write a time as X takes it: UTC, milliseconds (cut, not rounded), `Z`."""
    # msgspec writes RFC 3339 in UTC, with no fraction or six digits of it, in a tenth of isoformat's time.
    text: str = msgspec.to_builtins(time if time.tzinfo is UTC else time.astimezone(UTC))
    return f"{text[:_SECONDS]}.000Z" if len(text) == _SECONDS + 1 else f"{text[:_MILLISECONDS]}Z"


def _read_text(text: str, publish_time: datetime) -> datetime | None:
    if len(text) > _LONGEST_TIME_TEXT:
        return None
    if _EPOCH_TEXT.fullmatch(text):
        return _read_digits(Decimal(text) if "." in text else int(text), publish_time)
    # BigQuery prints "2026-04-20 12:34:56 UTC", Ruby "… +0000".
    text = text.upper().removesuffix("UTC").rstrip() + "Z" if text[-3:].upper() == "UTC" else text.upper()
    return _read_standard(_SPACE_BEFORE_OFFSET.sub("", text))


def _read_standard(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is UTC:
            return time
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _read_digits(value: object, publish_time: datetime) -> datetime | None:
    epoch = _read_epoch(value)
    if epoch is None or epoch <= publish_time:
        return epoch
    return _read_compact_date(value) or epoch


def _read_compact_date(value: object) -> datetime | None:
    digits = str(int(value)) if isinstance(value, int | float | Decimal) and value == int(value) else ""
    if (found := _COMPACT_DATE.fullmatch(digits)) is None:
        return None
    year, month, day, hour, minute, second, fraction = found.groups("0")
    try:
        time = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None
    return time + timedelta(microseconds=int(fraction.ljust(6, "0")))


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
