"""One run: the files' events are published, and each is followed until it has ended; so are those of others."""

import json
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from xcapi_core.cli.dev.stage import Stage
from xcapi_core.cli.files import Chunk
from xcapi_core.cli.validate.unread import in_words, worth_a_look
from xcapi_core.cli.validate.verdicts import Verdict, judge
from xcapi_core.conversions import Conversion
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.origins import original_event_indices
from xcapi_core.outcomes import Skipped
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.sandbox.console.entries import Entry
from xcapi_core.sandbox.console.rulings import Ruling
from xcapi_core.sandbox.services.pubsub import DeadLetter
from xcapi_core.sandbox.services.push_delivery import StoredMessage

__all__ = ["Run", "SentEvent"]

_ENDED: Final = frozenset({"delivered", "dead_lettered", "skipped"})
# After the last ack, a dead letter or an answer of X's may still be on its way through our own threads.
_AFTERMATH_S: Final = 1.0
_MOST_OPEN: Final = 2_000
_NAME = re.compile(r"[\w .:/-]{1,60}")


@dataclass(slots=True, kw_only=True)
class SentEvent:
    """One event on its way. `index` is its place in the message."""

    verdict: Verdict
    entry: Entry
    message_id: str
    index: int | None
    skipped_as: str = ""
    identity: tuple[str, str, str] | None = field(default=None, repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether it is where it stays."""
        return self.entry.verdict in _ENDED


class Run:
    """Publishes chunks, and follows the events of every message on the topic, whoever published it."""

    def __init__(self, stage: Stage, attributes: Mapping[str, str]) -> None:
        self.count = 0
        self._stage = stage
        self._attributes = attributes
        # The feed's lock guards these: others publish in threads of their own.
        self._untold: deque[SentEvent] = deque()
        self._open: list[SentEvent] = []
        self._delivered: set[tuple[str, str, str]] = set()
        self._sending: tuple[Chunk, str] | None = None
        self._of_others = 0
        self._all_acked_at: float | None = None
        stage.pubsub.on_message = self._hear

    @property
    def is_over(self) -> bool:
        """Whether every event has ended."""
        return not self._open

    @property
    def is_full(self) -> bool:
        """Whether more should wait until some have ended."""
        return len(self._open) >= _MOST_OPEN

    def publish(self, chunk: Chunk, file: str) -> Verdict | None:
        """Publish a chunk as one message; return the verdict on one that cannot be published."""
        if chunk.problem:
            return next(judge(chunk, file, self._stage.settings, {}, datetime.now(UTC)))
        attributes = {**self._attributes, **chunk.attributes}
        with self._stage.sandbox.feed.lock:
            self._sending = chunk, file
            try:
                self._stage.pubsub.publish(self._stage.path.topic, chunk.data, attributes)
            except ValueError as error:
                refused = replace(chunk, problem=f"Pub/Sub does not take it: {error}")
                return next(judge(refused, file, self._stage.settings, {}, datetime.now(UTC)))
            finally:
                self._sending = None
        return None

    def take_ended(self) -> Iterator[SentEvent]:
        """Yield the events that have ended and were not yielded before, in the order in which they were published."""
        while self._untold and self._untold[0].has_ended:
            yield self._untold.popleft()

    def take_all(self) -> Iterator[SentEvent]:
        """Yield all that were not yielded before, wherever they are."""
        while self._untold:
            yield self._untold.popleft()

    def look(self) -> None:
        """Look where events have ended since."""
        acked = self._acked()
        for dead_letter in self._stage.pubsub.pull(self._stage.path.dead_letter_subscription, timeout_s=0.05):
            self._take(dead_letter)
        feed = self._stage.sandbox.feed
        feed.catch_up()
        with feed.lock:
            for event in self._open:
                if not event.has_ended and event.message_id in acked and event.skipped_as:
                    feed.settle(event.entry, Ruling("skipped", event.skipped_as, event.verdict.detail))
                if event.identity and event.entry.verdict == "delivered":
                    self._delivered.add(event.identity)
            self._open = [event for event in self._open if not event.has_ended]
            if self._stage.pubsub.unacked:
                self._all_acked_at = None
            elif self._all_acked_at is None:
                self._all_acked_at = time.monotonic()
            elif time.monotonic() > self._all_acked_at + _AFTERMATH_S:
                self._explain_the_rest()

    def _hear(self, topic: str, message: StoredMessage) -> None:
        """Expect the events of a message before it is pushed, so that X's answer finds them in the console."""
        if topic != self._stage.path.topic:
            return
        with self._stage.sandbox.feed.lock:
            if self._sending is None:
                self._of_others += 1
            chunk, file = self._sending or (Chunk(self._of_others, message.data), "published")
            pushed = replace(
                chunk,
                attributes=message.attributes,
                message_id=message.message_id,
                publish_time=message.publish_time,
            )
            verdicts = judge(pushed, file, self._stage.settings, {}, datetime.now(UTC))
            for verdict, read in zip(verdicts, self._read(pushed), strict=True):
                self._expect(verdict, read, message.message_id)
            self._all_acked_at = None

    def _read(self, chunk: Chunk) -> Iterator[ReadEvent]:
        message = PubsubMessage(
            message_id=chunk.message_id,
            publish_time=chunk.publish_time,
            data=chunk.data,
            attributes=dict(chunk.attributes),
            subscription="",
            ordering_key="",
            delivery_attempt=None,
        )
        for read in read_events(message, self._stage.settings, received_at=datetime.now(UTC), settled=frozenset()):
            if isinstance(read, ReadEvent):
                yield read

    def _expect(self, verdict: Verdict, read: ReadEvent, message_id: str) -> None:
        feed = self._stage.sandbox.feed
        conversion = read.result if isinstance(read.result, Conversion) else None
        entry = Entry(
            entry_id=feed.next_id(),
            received_at=time.time(),
            pixel_id=verdict.pixel_id,
            name=_name(read.event_bytes),
            conversion_id=conversion.conversion_id if conversion else read.conversion_id,
            verdict="waiting",
            dialect=read.format,
            message=read.event_bytes,
            conversion=json.loads(conversion.wire) if conversion else None,
            dropped=verdict.dropped,
            unread=tuple(in_words([field]) for field in worth_a_look(verdict.unread, verdict.format)),
        )
        feed.add(entry, conversion.identity if conversion else None)
        event = SentEvent(
            verdict=verdict,
            entry=entry,
            message_id=message_id,
            index=read.event_index,
            skipped_as=read.result.reason.value if isinstance(read.result, Skipped) else "",
            identity=conversion.identity if conversion else None,
        )
        self.count += 1
        self._untold.append(event)
        self._open.append(event)

    def _acked(self) -> frozenset[str]:
        pending = self._stage.pubsub.unacked_ids
        return frozenset(event.message_id for event in self._open) - pending

    def _take(self, dead_letter: DeadLetter) -> None:
        """Give the events of a dead letter their end."""
        attributes = dead_letter.attributes
        reason = attributes.get("xcapi_reason", "exhausted")
        words = attributes.get("xcapi_error_message", "")
        for event in self._meant(dead_letter):
            detail = words or event.verdict.detail
            self._stage.sandbox.feed.settle(event.entry, Ruling("dead_lettered", reason, detail))

    def _meant(self, dead_letter: DeadLetter) -> Sequence[SentEvent]:
        message_id = dead_letter.attributes.get("xcapi_message_id", dead_letter.message_id)
        places = original_event_indices(
            PubsubMessage(
                message_id=message_id,
                publish_time="",
                data=dead_letter.data,
                attributes=dict(dead_letter.attributes),
                subscription="",
                ordering_key="",
                delivery_attempt=None,
            )
        )
        of_message = [event for event in self._open if event.message_id == message_id and not event.has_ended]
        if places is None:
            return of_message
        return [event for event in of_message if event.index in places]

    def _explain_the_rest(self) -> None:
        """Everything is acked, and these have reached neither X nor the dead-letter topic."""
        for event in self._open:
            if self._stage.settings.dry_run and event.identity:
                ruling = Ruling("skipped", "dry_run", "dry_run is on: nothing is sent to X.")
            elif event.identity in self._delivered:
                ruling = Ruling("skipped", "already_delivered", "The same conversion is among these events already.")
            else:
                ruling = Ruling("dead_lettered", "lost", "The function acked it, and it is nowhere: see its log.")
            self._stage.sandbox.feed.settle(event.entry, ruling)
        self._open = []


def _name(event_bytes: bytes) -> str:
    """Return the name that an event gives itself, "" where it may be anything but a name."""
    try:
        event = json.loads(event_bytes)
    except (ValueError, RecursionError):
        return ""
    if isinstance(event, dict) and isinstance(event.get("events"), list) and event["events"]:
        event = event["events"][0]  # a Measurement Protocol body of one
    if not isinstance(event, dict):
        return ""
    names = (event.get(key) for key in ("event", "event_name", "name", "type", "event_id"))
    return next((name for name in names if isinstance(name, str) and _NAME.fullmatch(name)), "")
