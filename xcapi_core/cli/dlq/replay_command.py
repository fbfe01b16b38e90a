"""`xcapi dlq replay`: send dead letters again."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Final

import click
from google.api_core import exceptions
from google.pubsub_v1.services.publisher import PublisherClient

from xcapi_core.cli.configuration import require_configuration
from xcapi_core.cli.dlq.exported import replay_file
from xcapi_core.cli.dlq.filters import Filters, filter_options
from xcapi_core.cli.dlq.mending import EditInEditor, SetFields, read_assignment
from xcapi_core.cli.dlq.replaying import Mend, Replay, Tally
from xcapi_core.cli.dlq.session import Where, open_session, where_options
from xcapi_core.cli.google.clients import new_publisher
from xcapi_core.cli.google.errors import brief_retry, google_errors, sentence
from xcapi_core.cli.google.names import full_name
from xcapi_core.cli.pace import Pace
from xcapi_core.cli.progress import Progressing
from xcapi_core.cli.stop import INTERRUPTED, stopping
from xcapi_core.settings import Settings

__all__ = ["replay"]

_TIMEOUT_S: Final = 20.0

_HELP: Final = """Send dead letters again: each is published, and acked after
that. So Ctrl-C, a crash or a second run lose nothing.

They go to the configuration's remainder_topic, where the
function alone reads them; --topic names another. What the
function would still refuse stays, and so does what is older
than 48 hours (--allow-old sends it). "unconfirmed" ones, which
X may have counted, go only by --reason unconfirmed.

\b
xcapi dlq replay --dry-run
xcapi dlq replay --reason unauthorized
xcapi dlq replay --reason invalid_event --pixel o8z6j \\
  --set price_currency=EUR
xcapi dlq replay --limit 3 --edit

--set writes a field into each event ("user.email" is email in
user); --edit opens each dead letter in $EDITOR. Neither
changes consent or pixel_id.

Exits with 0; 1 where anything that was chosen stays; 2 for
wrong usage; 130 after Ctrl-C.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 100})
@where_options
@filter_options
@click.option("--topic", metavar="NAME", help="Where to publish; else the configuration's remainder_topic.")
@click.option(
    "--from",
    "from_file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str),
    metavar="FILE",
    help="Send what `export` wrote; the subscription is left alone.",
)
@click.option("--from-line", type=click.IntRange(1), default=1, metavar="N", help="With --from: go on at this line.")
@click.option("--set", "assignments", multiple=True, metavar="FIELD=VALUE", help="Set a field of each event.")
@click.option("--edit", is_flag=True, help="Open each dead letter in $EDITOR.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="At most N dead letters a second.")
@click.option("--allow-old", is_flag=True, help="Send also what is older than 48 hours.")
@click.option("--dry-run", is_flag=True, help="Publish nothing; say what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON summary.")
def replay(
    *,
    where: Where,
    filters: Filters,
    topic: str | None,
    from_file: str | None,
    from_line: int,
    assignments: tuple[str, ...],
    edit: bool,
    rate: float | None,
    allow_old: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Replay dead letters; see the help text above."""
    settings = require_configuration(where.config_file)
    mend = _mend(assignments, edit=edit)
    target = _target(topic, where, settings)
    tally, last_line = Tally(), 0

    def new_replay(**parts: object) -> Replay:
        return Replay(
            topic=target,
            settings=settings,
            filters=filters,
            mend=mend,
            pace=Pace(rate),
            allow_old=allow_old,
            is_dry_run=dry_run,
            tally=tally,
            **parts,  # type: ignore[arg-type]  # publisher, stop, started_at and leases, below
        )

    failure: click.ClickException | None = None
    was_stopped = False
    try:
        if from_file is not None:
            with google_errors("Google Cloud Pub/Sub"):
                publisher = new_publisher()
            _check_topic(publisher, target)
            with stopping() as stop:
                run = new_replay(publisher=publisher, stop=stop, started_at=datetime.now(UTC))
                for last_line in replay_file(from_file, from_line, run):  # noqa: B007 - used after the loop
                    pass
                was_stopped = stop.is_told
        else:
            with open_session(where, settings) as session:
                _check_topic(session.publisher, target)
                run = new_replay(
                    publisher=session.publisher,
                    stop=session.stop,
                    started_at=session.started_at,
                    leases=session.leases,
                )
                with Progressing(
                    lambda: (tally.published, f"{tally.published:,} published, {tally.left:,} stay")
                ) as bar:
                    session.sweep(run.handle, (lambda: None) if edit else bar.tick, one_at_a_time=edit)
                was_stopped = session.stop.is_told
    except click.UsageError:
        raise
    except click.ClickException as error:
        failure = error
    if failure is None or tally.seen or as_json:  # as in `discard`: nobody was asked, nothing was counted
        _report(tally, is_dry_run=dry_run, as_json=as_json, topic=target, last_line=last_line)
    if failure is not None:
        raise failure
    sys.exit(INTERRUPTED if was_stopped else 1 if tally.kept else 0)


def _mend(assignments: tuple[str, ...], *, edit: bool) -> Mend | None:
    if assignments and edit:
        raise click.UsageError("--set or --edit, not both.")
    if edit:
        if not (os.environ.get("VISUAL") or os.environ.get("EDITOR") or (sys.stdin.isatty() and sys.stdout.isatty())):
            raise click.UsageError("--edit opens an editor, and this is no terminal: run it in one, or set EDITOR.")
        return EditInEditor()
    return SetFields([read_assignment(text) for text in assignments]) if assignments else None


def _target(topic: str | None, where: Where, settings: Settings) -> str:
    if topic is not None:
        return full_name("topics", topic, where.project, settings)
    if settings.remainder_topic is None:
        raise click.UsageError("The configuration has no remainder_topic: give --topic.")
    if not settings.remainder_topic.startswith("projects/"):
        raise click.UsageError("The configuration's remainder_topic is a file: give --topic.")
    return settings.remainder_topic


def _check_topic(publisher: PublisherClient, topic: str) -> None:
    """Find out that a topic is not there before anything is held for it."""
    try:
        publisher.get_topic(topic=topic, retry=brief_retry(), timeout=_TIMEOUT_S)
    except exceptions.PermissionDenied:
        pass  # publishing needs no right to look at it
    except exceptions.GoogleAPIError as error:
        raise click.ClickException(sentence(error, f"The topic {topic}")) from error


def _report(tally: Tally, *, is_dry_run: bool, as_json: bool, topic: str, last_line: int) -> None:
    would = tally.chosen - tally.kept.total() if is_dry_run else 0
    if as_json:
        summary: dict[str, object] = {
            "chosen": tally.chosen,
            "published": tally.published,
            "acked": tally.acked,
            "left": tally.left,
            "kept": dict(tally.kept),
            "passed_over": dict(tally.passed_over),
        }
        if is_dry_run:
            summary["would_publish"] = would
        if last_line:
            summary["confirmed_line"] = last_line
        click.echo(json.dumps({"summary": summary}))
        return
    if is_dry_run:
        click.echo(f"{would:,} would be published to {topic}.")
    else:
        click.echo(f"{tally.published:,} of {tally.chosen:,} published to {topic}.")
    if tally.published > tally.acked and not last_line:
        click.echo(f"{tally.published - tally.acked:,} of them could not be acked, and come again.")
    for why, count in tally.kept.most_common():
        click.echo(f"{count:,} stay: {why}.")
        click.echo(f"  {tally.examples[why]}")
    for why, count in tally.passed_over.most_common():
        click.echo(f"{count:,} passed over: {why}.")
    if last_line:
        click.echo(f"All up to line {last_line:,} is done; --from-line {last_line + 1} goes on.")
