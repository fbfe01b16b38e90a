"""Where a message's events came first: what a remainder, a dead letter or a replay says of it in its attributes."""

import re
from datetime import UTC, datetime
from functools import lru_cache

from xcapi_core.pubsub import PubsubMessage

__all__ = [
    "first_message_id",
    "is_replay",
    "original_event_indices",
    "original_publish_time",
    "parse_publish_time",
    "replayed_conversion_id",
    "waiting_since",
]

# RFC 3339 section 5.6. Pub/Sub writes up to nine digits of a second.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LONGEST_TIME = len("2026-04-20T12:34:56.123456789+00:00")
# Attributes that carry the first publish time of a message that comes back: ours, and what Pub/Sub itself adds to
# what it forwards to a dead-letter topic.
_ORIGINAL_PUBLISH_TIME = ("xcapi_publish_time", "CloudPubSubDeadLetterSourceTopicPublishTime")
_CONVERSION_ID = "xcapi_conversion_id"
_INDICES = re.compile(r"[0-9]{1,7}(?:-[0-9]{1,7})?(?:,[0-9]{1,7}(?:-[0-9]{1,7})?)*")
_MOST_INDICES = 1_000_000


def is_replay(message: PubsubMessage) -> bool:
    """Tell whether this is a dead letter that was published again: it starts anew, under its own id."""
    return "xcapi_reason" in message.attributes or "xcapi_replays" in message.attributes


def first_message_id(message: PubsubMessage) -> str:
    """Return the Pub/Sub id of the message in which these events came first: a remainder names it."""
    if is_replay(message):
        return message.message_id
    return message.attributes.get("xcapi_message_id") or message.message_id


def original_publish_time(message: PubsubMessage) -> str:
    """Return when the message was published first, which a redelivery and a replayed dead letter keep.

    In one form (UTC, milliseconds), because derived conversion ids are made of it and Pub/Sub writes the same instant
    differently in an envelope and in a dead letter's attribute. A time that cannot be read is returned as received.
    """
    attributes = message.attributes
    for name in _ORIGINAL_PUBLISH_TIME if attributes else ():
        text = attributes.get(name)
        time = parse_publish_time(text) if text else None
        if time is not None:
            return _canonical(time)
    time = parse_publish_time(message.publish_time)
    return message.publish_time if time is None else _canonical(time)


def waiting_since(message: PubsubMessage) -> datetime | None:
    """Return since when a message's events wait: the time of its first publishing, for a replay that of the replay."""
    if not message.attributes or is_replay(message):
        return parse_publish_time(message.publish_time)
    return parse_publish_time(message.attributes.get("xcapi_replay_publish_time") or original_publish_time(message))


def replayed_conversion_id(message: PubsubMessage) -> str | None:
    """Return the conversion id that a replayed dead letter brings along. It belongs to a message of one event."""
    return message.attributes.get(_CONVERSION_ID) or None


def original_event_indices(message: PubsubMessage) -> tuple[int, ...] | None:
    """Return where the events of a remainder or dead letter stood in their first message; None if it does not say.

    Read from `xcapi_event_index`, or `xcapi_event_indices` ("0-3,7"), continued in `xcapi_event_indices_2` and so on.
    """
    attributes = message.attributes
    if not attributes:
        return None
    text = attributes.get("xcapi_event_indices") or attributes.get("xcapi_event_index", "")
    for number in range(2, len(attributes) + 1):
        more = attributes.get(f"xcapi_event_indices_{number}")
        if not more:
            break
        text += "," + more
    if not _INDICES.fullmatch(text):
        return None
    indices: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(last or first) - int(first) + len(indices) > _MOST_INDICES:
            return None
        indices.extend(range(int(first), int(last or first) + 1))
    return tuple(indices)


def parse_publish_time(text: str) -> datetime | None:
    """Return an RFC 3339 time in UTC, cut to microseconds, or None."""
    return _parsed(text) if len(text) <= _LONGEST_TIME else None


# A message's time is asked for several times while it is read and settled.
_remembering_times = lru_cache(maxsize=256)


@_remembering_times
def _parsed(text: str) -> datetime | None:
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # a 13th month; the year 1 in another zone
        return None


@_remembering_times
def _canonical(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
