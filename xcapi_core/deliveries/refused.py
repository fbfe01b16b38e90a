"""Refused events: what a dead letter is made of, and the log line that tells of one."""

from http import HTTPStatus
from typing import ClassVar

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.events.envelopes import Envelope
from xcapi_core.events.reading import ReadEvent
from xcapi_core.events.splitting import Unreadable
from xcapi_core.outcomes import DeadLetterReason, Expired, Invalid, Rejected
from xcapi_core.records import Record
from xcapi_core.x_api.status_table import loggable_code

__all__ = ["UNCONFIRMED_EARLIER", "RefusedEvent", "log_refused", "refused_by_x", "refused_on_reading"]

# What an earlier delivery sent without a clear answer: only its dead letter is due.
UNCONFIRMED_EARLIER = Rejected(
    reason=DeadLetterReason.UNCONFIRMED,
    http_status=HTTPStatus.OK,
    error_message="an earlier request's answer named another number of conversions than was sent",
)


class RefusedEvent(Record, frozen=True, kw_only=True, gc=False):
    """One event on its way to the dead-letter topic, and why. `error_message` is X's words, or ours.

    `event_index` is None where the message holds no readable events, `first_index` where the event stood in its first
    message.
    """

    _shown: ClassVar[tuple[str, ...]] = ("event_index", "reason", "http_status", "pixel_id", "format")

    event_index: int | None
    event_bytes: bytes
    reason: DeadLetterReason
    envelope: Envelope | None = None
    first_index: int | None = None
    http_status: int | None = None
    error_code: str = ""
    error_parameter: str = ""
    error_message: str = ""
    pixel_id: str = ""
    conversion_id: str = ""
    format: str = ""

    @property
    def named_index(self) -> int | None:
        """The index that its dead letter names."""
        return self.event_index if self.first_index is None else self.first_index


def refused_by_x(
    event: ReadEvent, conversion: Conversion, rejected: Rejected, *, first_index: int | None
) -> RefusedEvent:
    """Return an event whose conversion X refused, with X's words."""
    return RefusedEvent(
        event_index=event.event_index,
        first_index=first_index,
        event_bytes=event.event_bytes,
        envelope=event.envelope,
        format=event.format,
        reason=rejected.reason,
        http_status=rejected.http_status,
        error_code=rejected.error_code,
        error_parameter=rejected.error_parameter,
        error_message=rejected.error_message,
        pixel_id=conversion.pixel_id,
        conversion_id=conversion.conversion_id,
    )


def refused_on_reading(
    event: ReadEvent, result: Invalid | Expired | Unreadable, *, first_index: int | None
) -> RefusedEvent:
    """Return an event that can never be sent. A problem names places and kinds, never values."""
    match result:
        case Invalid():
            reason = DeadLetterReason.INVALID_EVENT
        case Expired():
            reason = DeadLetterReason.EXPIRED
        case Unreadable():
            reason = DeadLetterReason.INVALID_MESSAGE
    return RefusedEvent(
        event_index=event.event_index,
        first_index=first_index,
        event_bytes=event.event_bytes,
        envelope=event.envelope,
        format=event.format,
        reason=reason,
        error_parameter=result.problem.path,
        error_message=str(result.problem),
        pixel_id=event.pixel_id,
        conversion_id=event.conversion_id,
    )


def log_refused(refused: RefusedEvent, *, message_id: str, naming: logs.HowToName) -> None:
    """Tell of a refused event: codes, ids and our own words, never X's."""
    if refused.http_status is None:
        facts: dict[str, str | int] = {"problem": refused.error_message}
    else:
        facts = {
            "pixel_id": refused.pixel_id,
            "http_status": refused.http_status,
            "error_code": loggable_code(refused.error_code),
        }
    logs.emit_naming(
        "WARNING",
        f"event.{refused.reason.value.removesuffix('_event').removesuffix('_message')}",
        [(refused.pixel_id, refused.conversion_id)] if refused.conversion_id else [],
        naming,
        reason=refused.reason.value,
        message_id=message_id,
        event_index=-1 if refused.event_index is None else refused.event_index,
        **facts,
    )
