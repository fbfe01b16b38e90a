"""Whether the function would take a dead letter now, and how old its conversions are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from xcapi_core.cli.dlq.dead_letter import DeadLetter, as_text
from xcapi_core.conversions import Conversion
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.events.splitting import Unreadable
from xcapi_core.origins import parse_publish_time
from xcapi_core.outcomes import DeadLetterReason, Expired, Invalid
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import Settings

__all__ = ["TOO_OLD_AFTER", "Judgement", "judge_dead_letter", "read_dead_letter"]

# X's attribution forgets: what is older than this is sent only by somebody who knows that.
TOO_OLD_AFTER: Final = timedelta(hours=48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`problem` is the first thing that the function would refuse, "" where it would refuse nothing."""

    problem: str = ""
    is_too_old: bool = False


class _Wire(msgspec.Struct):
    conversion_time: str = ""


_wires: Final = msgspec.json.Decoder(_Wire)


def read_dead_letter(
    dead_letter: DeadLetter, data: bytes, attributes: Mapping[str, str], settings: Settings, now: datetime
) -> Iterator[ReadEvent]:
    """Yield the events of `data`, published with `attributes` in the dead letter's place."""
    message = PubsubMessage(
        message_id=dead_letter.message_id,
        publish_time=as_text(dead_letter.publish_time),
        data=data,
        attributes=attributes,
        subscription="",
        ordering_key="",
        delivery_attempt=None,
    )
    for event in read_events(message, settings, received_at=now, settled=frozenset()):
        if isinstance(event, ReadEvent):
            yield event


def judge_dead_letter(
    dead_letter: DeadLetter, data: bytes, attributes: Mapping[str, str], settings: Settings, now: datetime
) -> Judgement:
    """Read `data` with `attributes` as the function would, when they are published in the dead letter's place."""
    is_unconfirmed = dead_letter.reason == DeadLetterReason.UNCONFIRMED.value
    # X may have counted it when it was sent: what matters is how long ago that was.
    is_too_old = is_unconfirmed and now - dead_letter.failed_at > TOO_OLD_AFTER
    for event in read_dead_letter(dead_letter, data, attributes, settings, now):
        match event.result:
            case Conversion() as conversion if not is_unconfirmed:
                time = parse_publish_time(_wires.decode(conversion.wire).conversion_time)
                is_too_old = is_too_old or (time is not None and now.astimezone(UTC) - time > TOO_OLD_AFTER)
            case Invalid(problem) | Expired(problem) | Unreadable(problem):
                return Judgement(problem=str(problem), is_too_old=is_too_old)
            case _:
                pass
    return Judgement(is_too_old=is_too_old)
