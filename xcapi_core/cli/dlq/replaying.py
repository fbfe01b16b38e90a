"""Publishing dead letters again: first published, then acked, so that whatever ends it loses nothing."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import click
from google.pubsub_v1.services.publisher import PublisherClient

from xcapi_core.cli.dlq.attributes import replayed_attributes
from xcapi_core.cli.dlq.choosing import Finishable
from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.filters import Filters
from xcapi_core.cli.dlq.judging import judge_dead_letter
from xcapi_core.cli.dlq.leases import Leases
from xcapi_core.cli.google.errors import GOOGLE_ERRORS, sentence
from xcapi_core.cli.google.publishing import publish, requests_of
from xcapi_core.cli.pace import Pace
from xcapi_core.cli.stop import Stop
from xcapi_core.outcomes import DeadLetterReason
from xcapi_core.settings import Settings

__all__ = ["Mend", "MendingError", "Replay", "Tally"]

_UNCONFIRMED = DeadLetterReason.UNCONFIRMED.value

# Changes a dead letter's data on its way; raises MendingError where it must stay.
Mend = Callable[[DeadLetter], bytes]


class MendingError(Exception):
    """A dead letter cannot be mended, and why; the text quotes nothing of it."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many ended how. `kept` are the chosen ones that stay, by why; `passed_over` were not chosen."""

    seen: int = 0
    chosen: int = 0
    published: int = 0
    acked: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def left(self) -> int:
        """How many of those that were looked at are in the subscription afterwards."""
        return self.seen - self.acked


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outgoing:
    dead_letter: DeadLetter
    data: bytes = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Replay:
    """One run over dead letters; `leases` is None where they come from a file. Safe for several threads."""

    publisher: PublisherClient
    topic: str
    settings: Settings
    filters: Filters
    stop: Stop
    started_at: datetime
    leases: Leases | None = None
    mend: Mend | None = None
    pace: Pace = field(default_factory=lambda: Pace(None))
    allow_old: bool = False
    is_dry_run: bool = False
    tally: Tally = field(default_factory=Tally)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _published_ids: set[str] = field(default_factory=set)

    def handle(self, dead_letters: Sequence[DeadLetter], source: Finishable) -> bool:
        """Publish and ack what is chosen of these; return whether any had been there at the start."""
        ready: list[_Outgoing] = []
        is_news = False
        for dead_letter in dead_letters:
            if self.stop.is_told:
                break
            arrived = self._arrived_meanwhile(dead_letter)
            is_news = is_news or not arrived
            if not self._choose(dead_letter, source, arrived=arrived):
                continue
            outgoing = self._prepare(dead_letter)
            if outgoing is not None:
                ready.append(outgoing)
        self._send(ready)
        return is_news

    def _arrived_meanwhile(self, dead_letter: DeadLetter) -> bool:
        """Tell whether it is newer than this run: what the function refuses again shall not go round in circles."""
        return self.leases is not None and (
            dead_letter.publish_time > self.started_at
            or dead_letter.attributes.get("xcapi_message_id") in self._published_ids
        )

    def _choose(self, dead_letter: DeadLetter, source: Finishable, *, arrived: bool) -> bool:
        with self._lock:
            self.tally.seen += 1
            if arrived:
                self.tally.passed_over["arrived after the start"] += 1
                return False
            if not self.filters.match(dead_letter, datetime.now(UTC)):
                self.tally.passed_over["not of the filters"] += 1
                return False
            if dead_letter.reason == _UNCONFIRMED and _UNCONFIRMED not in self.filters.reasons:
                self.tally.passed_over["unconfirmed: X may have counted them; --reason unconfirmed sends them"] += 1
                return False
            if self.filters.limit is not None and self.tally.chosen >= self.filters.limit:
                self.tally.passed_over["beyond --limit"] += 1
                return False
            self.tally.chosen += 1
            if self.tally.chosen == self.filters.limit:
                source.finish()
            return True

    def _prepare(self, dead_letter: DeadLetter) -> _Outgoing | None:
        data = dead_letter.data
        if self.mend is not None:
            try:
                data = self.mend(dead_letter)
            except MendingError as error:
                self._keep(str(error), dead_letter, "")
                return None
        attributes = replayed_attributes(dead_letter)
        judgement = judge_dead_letter(dead_letter, data, attributes, self.settings, datetime.now(UTC))
        if judgement.problem:
            self._keep("the function would refuse them again", dead_letter, judgement.problem)
            return None
        if judgement.is_too_old and not self.allow_old:
            self._keep("older than 48 hours; --allow-old sends them", dead_letter, "")
            return None
        return _Outgoing(dead_letter=dead_letter, data=data, attributes=attributes)

    def _keep(self, why: str, dead_letter: DeadLetter, example: str) -> None:
        with self._lock:
            self.tally.kept[why] += 1
            self.tally.examples.setdefault(why, f"message {dead_letter.message_id}{f': {example}' if example else ''}")

    def _send(self, ready: Sequence[_Outgoing]) -> None:
        for request in requests_of(ready, most=self.pace.portion):
            if not self.pace.wait(len(request), self.stop):
                return
            if self.is_dry_run:
                continue
            self._publish_and_ack(request)

    def _publish_and_ack(self, request: list[_Outgoing]) -> None:
        if self.leases is not None:
            alive = self.leases.alive(outgoing.dead_letter.message_id for outgoing in request)
            with self._lock:
                # Somebody else may have the others by now; they come again, and are counted then.
                self.tally.chosen -= len(request) - len(alive)
                self.tally.seen -= len(request) - len(alive)
            request = [outgoing for outgoing in request if outgoing.dead_letter.message_id in alive]
            if not request:
                return
        try:
            published, refused = publish(self.publisher, self.topic, request)
        except GOOGLE_ERRORS as error:
            raise click.ClickException(sentence(error, f"The topic {self.topic}")) from error
        with self._lock:
            self.tally.published += len(published)
            self._published_ids.update(message_id for _, message_id in published)
        for outgoing in refused:
            self._keep("the topic does not take them (its schema, or a limit of Pub/Sub)", outgoing.dead_letter, "")
        if self.leases is None:
            return
        try:
            self.leases.ack([outgoing.dead_letter.message_id for outgoing, _ in published])
        except GOOGLE_ERRORS as error:
            what = f"{len(published):,} were published, but could not be acked: a second run would send them twice"
            raise click.ClickException(sentence(error, what)) from error
        with self._lock:
            self.tally.acked += len(published)
