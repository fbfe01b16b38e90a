"""One message of the dead-letter topic, as it is looked at here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from xcapi_core.origins import parse_publish_time

if TYPE_CHECKING:
    from google.pubsub_v1.types import ReceivedMessage

__all__ = ["EXHAUSTED", "DeadLetter", "as_text", "received"]

# What Pub/Sub itself forwards after too many attempts has no xcapi_reason.
EXHAUSTED: Final = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter; what is personal in it shows in no `repr`."""

    message_id: str
    ack_id: str = field(default="", repr=False)
    data: bytes = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    publish_time: datetime
    ordering_key: str = field(default="", repr=False)

    @property
    def reason(self) -> str:
        """`xcapi_reason`, or "exhausted"."""
        return self.attributes.get("xcapi_reason") or EXHAUSTED

    @property
    def pixel_id(self) -> str:
        """The pixel that the function found, else the one that the publisher named; "" where nobody says."""
        return self.attributes.get("xcapi_pixel_id") or self.attributes.get("pixel_id", "")

    @property
    def error_code(self) -> str:
        """X's error code, "" where X said nothing."""
        return self.attributes.get("xcapi_error_code", "")

    @property
    def failed_at(self) -> datetime:
        """When the function gave up, else when the dead letter was published."""
        return parse_publish_time(self.attributes.get("xcapi_failed_at", "")) or self.publish_time


def received(message: "ReceivedMessage") -> DeadLetter:
    """Return a pulled message, from its protobuf form."""
    inner = message.message
    return DeadLetter(
        message_id=inner.message_id,
        ack_id=message.ack_id,
        data=inner.data,
        attributes=dict(inner.attributes),
        publish_time=datetime.fromtimestamp(inner.publish_time.seconds + inner.publish_time.nanos / 1e9, UTC),
        ordering_key=inner.ordering_key,
    )


def as_text(time: datetime) -> str:
    """Return a time as Pub/Sub writes it, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
