"""What every `dlq` command starts with: the subscription, looked at before anything is taken from it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.subscriber import SubscriberClient

from xcapi_core.cli.configuration import config_option
from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.leases import LEASE_S, Leases
from xcapi_core.cli.dlq.sweeping import Sweep
from xcapi_core.cli.google.clients import new_publisher, new_subscriber
from xcapi_core.cli.google.errors import google_errors
from xcapi_core.cli.google.names import project_option
from xcapi_core.cli.google.subscriptions import describe_subscription, find_dead_letter_subscription, objection
from xcapi_core.cli.stop import Stop, stopping
from xcapi_core.settings import Settings

__all__ = ["Session", "Where", "open_session", "where_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where the dead letters are, as the options say it."""

    subscription: str | None
    project: str | None
    config_file: Path | None
    in_spite_of_policies: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open subscription. `topic` is what it belongs to, "" where the user may not know."""

    subscription: str
    topic: str
    publisher: PublisherClient
    subscriber: SubscriberClient
    leases: Leases
    stop: Stop
    started_at: datetime

    def sweep(
        self,
        handle: Callable[[Sequence[DeadLetter], Sweep], bool],
        tick: Callable[[], None] = lambda: None,
        *,
        one_at_a_time: bool = False,
    ) -> None:
        """Go through the subscription once; `handle` may finish it early."""
        pulls = {"pulls_at_once": 1} if one_at_a_time else {}
        sweep = Sweep(self.subscriber, self.subscription, self.leases, self.stop, **pulls)
        with google_errors(f"The subscription {self.subscription}"):
            sweep.run(lambda dead_letters: handle(dead_letters, sweep), tick)


def where_options(function: _Function) -> _Function:
    """Add the options that say where the dead letters are, as `where`, to a command."""

    def command(
        *,
        subscription: str | None,
        project: str | None,
        config_file: Path | None,
        in_spite_of_policies: bool,
        **others: Any,  # noqa: ANN401 - the command's own options
    ) -> object:
        where = Where(
            subscription=subscription,
            project=project,
            config_file=config_file,
            in_spite_of_policies=in_spite_of_policies,
        )
        return function(where=where, **others)

    command.__click_params__ = list(getattr(function, "__click_params__", []))  # type: ignore[attr-defined]  # click's
    decorated: Any = click.option(
        "--in-spite-of-policies",
        is_flag=True,
        help="Use a subscription that has a dead-letter or retry policy of its own.",
    )(command)
    decorated = config_option(project_option(decorated))
    decorated = click.option(
        "--subscription",
        metavar="NAME",
        help="The dead letters' subscription; else the only one of the configuration's dead_letter_topic.",
    )(decorated)
    result: _Function = decorated
    return result


@contextmanager
def open_session(where: Where, settings: Settings | None) -> Iterator[Session]:
    """Find the subscription, hold what is pulled from it, and give back at the end what was not acked."""
    with google_errors("Google Cloud Pub/Sub"):
        publisher, subscriber = new_publisher(), new_subscriber()
    name = find_dead_letter_subscription(publisher, where.subscription, where.project, settings)
    described = describe_subscription(subscriber, name)
    if described is not None and (why := objection(described)):
        pushes = bool(described.push_config.push_endpoint)
        if pushes or not where.in_spite_of_policies:
            told = "" if pushes else "\nGive --in-spite-of-policies if you mean it."
            raise click.ClickException(f"{name} is no subscription to take dead letters from: {why}.{told}")
    click.echo(
        f"Looking at {name}. What is held meanwhile, nobody else sees; "
        f"it is given back at the end, after a crash within {LEASE_S // 60} minutes.",
        err=True,
    )
    with stopping() as stop, Leases(subscriber, name) as leases:
        try:
            yield Session(
                subscription=name,
                topic=described.topic if described else "",
                publisher=publisher,
                subscriber=subscriber,
                leases=leases,
                stop=stop,
                started_at=datetime.now(UTC),
            )
        finally:
            held = len(leases)
    click.echo(f"{held:,} {'was' if held == 1 else 'were'} held and given back.", err=True)
