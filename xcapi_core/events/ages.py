"""When an event happened, and whether that is too long ago to send."""

from datetime import datetime, timedelta
from typing import Final

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import kind_of
from xcapi_core.events.source import EventSource
from xcapi_core.events.times import read_time
from xcapi_core.outcomes import Expired
from xcapi_core.problems import Problem

__all__ = ["expired", "settled_time"]

# Clocks differ by minutes. What is ahead by more is wrong by a time zone, and beyond two days is no conversion's time.
_SKEW: Final = timedelta(minutes=5)
_FUTURE: Final = timedelta(hours=48)


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
