"""`xcapi dlq discard`: delete dead letters for good."""

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import click

from xcapi_core.cli.asking import confirmed
from xcapi_core.cli.configuration import load_configuration
from xcapi_core.cli.dlq.choosing import Finishable
from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.erasing import Erasure, Person
from xcapi_core.cli.dlq.filters import Filters, filter_options
from xcapi_core.cli.dlq.session import Session, Where, open_session, where_options
from xcapi_core.cli.google.errors import GOOGLE_ERRORS, sentence
from xcapi_core.cli.google.publishing import publish
from xcapi_core.cli.progress import Progressing
from xcapi_core.cli.stop import INTERRUPTED

__all__ = ["discard"]

_ACKS_AT_ONCE: Final = 1_000

_HELP: Final = """Delete dead letters for good, after asking. This cannot be
undone: export them first if you are not sure.

\b
xcapi dlq discard --reason expired --older-than 30d
xcapi dlq discard --email jane@example.com

--email finds one person's dead letters for an erasure request,
by the address or its SHA-256 anywhere in the event. Of a
dead letter with several events the others are published again,
to the same topic, before it is deleted. Not erased are, and the
command says so: what waits in other subscriptions, the log,
and what X already has.

Exits with 0; 1 where Pub/Sub cannot be asked, where some were
held for too long, or with --email something could not be
looked into; 2 for wrong usage; 130 after Ctrl-C.
"""

_NOT_ERASED: Final = """Not erased by this: events that still wait (the backlog of the events topic, the remainder
topic), exports of dead letters and the publisher's own copies; the function's log, which holds
digests of conversion ids only, until its retention ends; and what X already has, which the
person asks X to delete."""


@dataclass(slots=True)
class _Search:
    """Holds what is meant, by its ids; the bodies of shared dead letters only, where others' events are in them."""

    filters: Filters
    person: Person | None
    chosen: list[str] = field(default_factory=list)
    shared: list[tuple[DeadLetter, Erasure]] = field(default_factory=list)
    seen: int = 0
    unread: int = 0
    published: int = 0
    acked: int = 0
    lost: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, dead_letters: Sequence[DeadLetter], source: Finishable) -> bool:
        now = datetime.now(UTC)
        for dead_letter in dead_letters:
            is_meant = self.filters.match(dead_letter, now)
            erasure = self.person.erase(dead_letter) if is_meant and self.person else None
            with self._lock:
                self.seen += 1
                if not is_meant:
                    continue
                if self.person and not erasure:
                    self.unread += not self.person.can_read(dead_letter)
                    continue
                if self.filters.limit is not None and self.count >= self.filters.limit:
                    source.finish()
                    break
                if erasure and erasure.rest:
                    self.shared.append((dead_letter, erasure))
                else:
                    self.chosen.append(dead_letter.message_id)
                if self.count == self.filters.limit:
                    source.finish()
        return True

    @property
    def count(self) -> int:
        """How many dead letters are to go."""
        return len(self.chosen) + len(self.shared)


@click.command(help=_HELP, context_settings={"max_content_width": 100})
@where_options
@filter_options
@click.option("--email", metavar="ADDRESS", help="Only dead letters in which this address is, plain or hashed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON summary.")
def discard(*, where: Where, filters: Filters, email: str | None, yes: bool, as_json: bool) -> None:
    """Discard dead letters; see the help text above."""
    if email is not None and "@" not in email.strip("@ "):
        raise click.BadParameter("no e-mail address", param_hint="--email")
    search = _Search(filters, Person(email) if email else None)
    failure: click.ClickException | None = None
    was_stopped = False
    try:
        with open_session(where, load_configuration(where.config_file)) as session:
            with Progressing(lambda: (search.seen, f"{search.seen:,} looked at, {search.count:,} found")) as progress:
                session.sweep(search.handle, progress.tick)
            was_stopped = session.stop.is_told
            if search.count and not was_stopped and (yes or confirmed(_question(search))):
                with Progressing(
                    lambda: (search.acked, f"{search.acked:,} of {search.count:,} deleted"), search.count
                ) as progress:
                    _delete(search, session, progress.tick)
                was_stopped = session.stop.is_told
                search.lost = 0 if was_stopped else search.count - search.acked
    except click.UsageError:
        raise
    except click.ClickException as error:
        failure = error
    if failure is None or search.seen or as_json:  # "0 of 0 found" is no answer of a Pub/Sub that was not asked
        _report(search, as_json=as_json, is_erasure=email is not None)
    if failure is not None:
        raise failure
    sys.exit(INTERRUPTED if was_stopped else 1 if search.unread or search.lost else 0)


def _question(search: _Search) -> str:
    shared = f" ({len(search.shared):,} of them hold others' events, which are kept)" if search.shared else ""
    return f"Delete {search.count:,} dead letter{'' if search.count == 1 else 's'} for good{shared}?"


def _delete(search: _Search, session: Session, tick: Callable[[], None]) -> None:
    try:
        for dead_letter, erasure in search.shared:
            if session.stop.is_told:
                return
            if not session.topic:
                raise click.ClickException("You may not see the subscription's topic, to which the others' events go.")
            if erasure.rest is None or not session.leases.alive([dead_letter.message_id]):
                continue
            # Published first: until the dead letter is acked, whatever happens, nothing of the others' is lost.
            _, refused = publish(session.publisher, session.topic, [erasure.rest])
            if refused:
                raise click.ClickException(f"{session.topic} does not take the others' events; nothing was deleted.")
            search.published += 1
            session.leases.ack([dead_letter.message_id])
            search.acked += 1
            tick()
        for start in range(0, len(search.chosen), _ACKS_AT_ONCE):
            if session.stop.is_told:
                return
            # Pub/Sub takes an ack whose lease ran out (the machine slept over the question), and delivers it again.
            alive = session.leases.alive(search.chosen[start : start + _ACKS_AT_ONCE])
            session.leases.ack(sorted(alive))
            search.acked += len(alive)
            tick()
    except GOOGLE_ERRORS as error:
        raise click.ClickException(sentence(error, f"The subscription {session.subscription}")) from error


def _report(search: _Search, *, as_json: bool, is_erasure: bool) -> None:
    if as_json:
        summary: dict[str, object] = {
            "chosen": search.count,
            "published": search.published,
            "acked": search.acked,
            "left": search.seen - search.acked,
        }
        if is_erasure:
            summary["unread"] = search.unread
        click.echo(json.dumps({"summary": summary}))
    else:
        click.echo(f"{search.acked:,} of {search.count:,} found dead letters deleted.")
        if search.published:
            click.echo(f"{search.published:,} of them held others' events, which were published again before.")
        if search.lost:
            click.echo(f"{search.lost:,} were held for too long and come again: run this once more.")
        if search.unread:
            click.echo(f"{search.unread:,} could not be looked into (no JSON): see `xcapi dlq show`.")
    if is_erasure:
        click.echo(_NOT_ERASED, err=as_json)
