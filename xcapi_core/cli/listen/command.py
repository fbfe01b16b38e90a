"""`xcapi listen`: shows what the events on a live topic would become at X, while they pass."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from google.api_core import exceptions
from google.pubsub_v1.services.subscriber import SubscriberClient

from xcapi_core.cli.configuration import config_option, require_configuration
from xcapi_core.cli.console import new_console
from xcapi_core.cli.durations import DURATION
from xcapi_core.cli.files import Chunk
from xcapi_core.cli.google.clients import new_subscriber
from xcapi_core.cli.google.errors import google_errors
from xcapi_core.cli.google.names import full_name, project_option
from xcapi_core.cli.listen.lateness import Lateness
from xcapi_core.cli.listen.temporary import temporary_subscription
from xcapi_core.cli.progress import Progressing
from xcapi_core.cli.stop import INTERRUPTED, Stop, stopping
from xcapi_core.cli.validate.output import PeopleOutput, verdict_as_json
from xcapi_core.cli.validate.verdicts import Verdict, judge
from xcapi_core.settings import Settings

if TYPE_CHECKING:
    from google.pubsub_v1.types import ReceivedMessage

__all__ = ["listen"]

_OUTSTANDING: Final = 100
_SHOWN_A_SECOND: Final = 20
_PULL_S: Final = 5.0

_HELP = """Show what the events on a live topic would become at X.

A temporary subscription gets its own copy of each message, so
nothing is taken away from anybody; it is removed at the end.
Identifiers are masked; of an event without consent only the
verdict is shown. At most 20 events a second are: where some are
left out, it says "sample".

\b
xcapi listen --topic x-conversions --config config.json
xcapi listen --topic x-conversions --for 5m --json \\
    | jq 'select(.end == "invalid")'

Exits with 0 at the end of --for, 130 after Ctrl-C, 1 where
Pub/Sub refuses, 2 for wrong usage.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 100})
@click.option("--topic", required=True, help="The events' topic.")
@project_option
@config_option
@click.option("--for", "duration", type=DURATION, help="End by itself after this long.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each event, then the summary.")
def listen(
    *, topic: str, project: str | None, config_file: Path | None, duration: timedelta | None, as_json: bool
) -> None:
    """Listen; see the help text above."""
    settings = require_configuration(config_file)
    name = full_name("topics", topic, project, settings)
    listener = _Listener(settings, _json_line if as_json else _people())
    with google_errors(f"The topic {name}"), stopping() as stop:
        subscriber = new_subscriber()
        with temporary_subscription(subscriber, name) as subscription:
            click.echo(f"Listening to {name} by {subscription}, removed at the end. Ctrl-C ends it.", err=True)
            until = None if duration is None else time.monotonic() + duration.total_seconds()
            with Progressing(listener.describe) as progress:
                _run(listener, subscriber, subscription, stop, until, progress)
        stopped = stop.is_told
    if as_json:
        click.echo(json.dumps({"summary": listener.summary()}))
    else:
        click.echo(listener.describe()[1])
    sys.exit(INTERRUPTED if stopped else 0)


def _run(  # noqa: PLR0917 - what a loop needs
    listener: "_Listener",
    subscriber: SubscriberClient,
    subscription: str,
    stop: Stop,
    until: float | None,
    progress: Progressing,
) -> None:
    while not stop.is_told and (until is None or time.monotonic() < until):
        try:
            answer = subscriber.pull(subscription=subscription, max_messages=_OUTSTANDING, timeout=_PULL_S)
        except exceptions.DeadlineExceeded:  # a quiet topic
            progress.tick()
            continue
        messages = answer.received_messages
        if messages:
            subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in messages])
        if listener.is_behind(messages):
            listener.catch_up(subscriber, subscription)
            continue
        for message in messages:
            listener.take(message, stop)
        sys.stdout.flush()
        progress.tick()


class _Listener:
    """Judges messages, shows as many events as anybody can follow, and counts all."""

    def __init__(self, settings: Settings, show: Callable[[Verdict, str, str], None]) -> None:
        self._settings = settings
        self._show = show
        self._ends: Counter[str] = Counter()
        self._messages = 0
        self._left_out = 0
        self._seeks = 0
        self._lateness = Lateness()
        self._second = 0
        self._shown_in_second = 0

    def take(self, message: "ReceivedMessage", stop: Stop) -> None:
        """Judge one message, and show its events while there is room for them."""
        self._messages += 1
        inner = message.message
        publish_time = _when(message).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        chunk = Chunk(
            1,
            inner.data,
            is_message=True,
            attributes=dict(inner.attributes),
            message_id=inner.message_id,
            publish_time=publish_time,
        )
        for verdict in judge(chunk, "", self._settings, {}, datetime.now(UTC)):
            if stop.is_told:  # a message may hold 350,000 events
                return
            self._ends[verdict.end] += 1
            if self._has_room():
                self._show(verdict, inner.message_id, publish_time)
            else:
                self._left_out += 1

    def is_behind(self, messages: Sequence["ReceivedMessage"]) -> bool:
        """Tell whether any of these was published long ago."""
        return self._lateness.is_behind(map(_when, messages), datetime.now(UTC))

    def catch_up(self, subscriber: SubscriberClient, subscription: str) -> None:
        """Go on with what is published from now on."""
        self._seeks += 1
        now = self._lateness.at_pubsub(datetime.now(UTC))
        try:
            subscriber.seek(request={"subscription": subscription, "time": now})
        except (exceptions.MethodNotImplemented, exceptions.InvalidArgument):
            return  # an emulator without seek; what is old is passed over one pull at a time

    def describe(self) -> tuple[int, str]:
        """Say how many events ended how."""
        events = sum(self._ends.values())
        ends = ", ".join(f"{count:,} {end}" for end, count in self._ends.most_common()) or "none yet"
        sample = f"; sample: {self._left_out:,} not shown" if self._left_out else ""
        behind = f"; fell behind {self._seeks}×, went on with the newest" if self._seeks else ""
        return events, f"{events:,} events in {self._messages:,} messages: {ends}{sample}{behind}"

    def summary(self) -> dict[str, object]:
        """Return the counts as `--json` prints them."""
        events = sum(self._ends.values())
        counts = {"events": events, "messages": self._messages, "not_shown": self._left_out, "seeks": self._seeks}
        return {**counts, **self._ends}

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._shown_in_second = second, 0
        self._shown_in_second += 1
        return self._shown_in_second <= _SHOWN_A_SECOND


def _when(message: "ReceivedMessage") -> datetime:
    return datetime.fromtimestamp(message.message.publish_time.timestamp(), UTC)


def _json_line(verdict: Verdict, message_id: str, publish_time: str) -> None:
    shown = {name: value for name, value in verdict_as_json(verdict).items() if name not in ("file", "line")}
    place = {"message_id": message_id, "publish_time": publish_time}
    click.echo(json.dumps({**place, **shown}, ensure_ascii=False))


def _people() -> Callable[[Verdict, str, str], None]:
    output = PeopleOutput(new_console(), only_bad=False)

    def show(verdict: Verdict, message_id: str, publish_time: str) -> None:
        output.verdict(verdict, place=f"{publish_time[11:19]} {message_id}")

    return show
