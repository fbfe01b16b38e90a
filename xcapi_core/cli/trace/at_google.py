"""The two places at Google where a conversion's end is written: Cloud Logging, and the dead letters."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.session import Where, open_session
from xcapi_core.cli.google.errors import google_errors
from xcapi_core.cli.google.names import find_project
from xcapi_core.cli.log.cloud import CloudLog
from xcapi_core.cli.trace.findings import Finding, Wanted
from xcapi_core.settings import Settings

__all__ = ["in_cloud_log", "in_dead_letters"]


def in_cloud_log(
    wanted: Wanted, settings: Settings | None, project: str | None, earliest: datetime
) -> Iterator[Finding]:
    """Yield what the function's log says since a time; a sentence ends the command where Google refuses."""
    found = find_project(project, settings)
    if found is None:
        raise click.UsageError("Which project's log? Give --project, or --log FILE.")
    with google_errors(f"The log of {found}"):
        for line in CloudLog(found).lines(wanted.cloud_filter(earliest)):
            yield from wanted.in_line(line)


def in_dead_letters(
    wanted: Wanted, settings: Settings | None, project: str | None, subscription: str | None
) -> Iterator[Finding]:
    """Yield what waits among the dead letters; what is looked at is given back."""
    found: list[Finding] = []

    def look(dead_letters: Sequence[DeadLetter], _: object) -> bool:
        found.extend(finding for one in dead_letters if (finding := wanted.in_dead_letter(one.attributes)) is not None)
        return True

    where = Where(subscription=subscription, project=project, config_file=None, in_spite_of_policies=False)
    with open_session(where, settings) as session:
        session.sweep(look)
    yield from found
