"""When an event happened, and whether that is too long ago to send."""

from collections.abc import Mapping
from datetime import datetime

from xcapi_core.events.fields import first_present, kind_of
from xcapi_core.events.source import EventSource
from xcapi_core.events.times import read_time
from xcapi_core.outcomes import Expired
from xcapi_core.problems import Problem

__all__ = ["event_time", "expired"]


def event_time(event: Mapping[str, object], names: tuple[str, ...], source: EventSource) -> datetime | Problem:
    """Return the time in the first of `names` that is present, else the message's publish time."""
    name, value = first_present(event, names)
    if not name:
        return source.publish_time
    time = read_time(value)
    if time is not None:
        return time
    return Problem(
        path=name,
        found=f"{kind_of(value)} that is no time from 2000 to 9999",
        expected="ISO 8601, or epoch seconds, milliseconds or microseconds",
    )


def expired(time: datetime, source: EventSource, max_age_hours: float | None) -> Expired | None:
    """Return Expired where the conversion was more than `max_age_hours` old when its message arrived."""
    if max_age_hours is None:
        return None
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
