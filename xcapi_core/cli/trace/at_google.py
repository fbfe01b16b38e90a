"""The two places at Google where a conversion's end is written: Cloud Logging, and the dead letters."""

from collections.abc import Iterator
from datetime import UTC, datetime

import click

from xcapi_core.cli.dlq.attributes import kept_attributes
from xcapi_core.cli.dlq.choosing import Looking
from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.filters import Filters
from xcapi_core.cli.dlq.judging import read_dead_letter
from xcapi_core.cli.dlq.session import Where, open_session
from xcapi_core.cli.google.errors import google_errors
from xcapi_core.cli.google.names import find_project
from xcapi_core.cli.log.cloud import CloudLog
from xcapi_core.cli.trace.findings import Finding, Wanted
from xcapi_core.conversions import Conversion
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
    """Yield what waits among the dead letters; what is looked at is given back.

    Raises KeyboardInterrupt, after what was found, where Ctrl-C left some unseen.
    """
    found: list[Finding] = []

    def look(dead_letter: DeadLetter) -> None:
        for conversion_id, pixel_id in _conversions_of(dead_letter, settings):
            if (finding := wanted.in_dead_letter(dead_letter, conversion_id, pixel_id)) is not None:
                found.append(finding)

    looking = Looking(Filters(), look)
    where = Where(subscription=subscription, project=project, config_file=None, in_spite_of_policies=False)
    with open_session(where, settings) as session:
        session.sweep(looking.handle)
        was_stopped = session.stop.is_told
    yield from found
    if was_stopped:
        raise KeyboardInterrupt


def _conversions_of(dead_letter: DeadLetter, settings: Settings | None) -> Iterator[tuple[str, str]]:
    """Yield conversion id and pixel of each event: as the attributes say, else as the function would read them.

    Pub/Sub's own dead letters, and those of many events, name no conversion.
    """
    pixel_id = dead_letter.pixel_id
    if conversion_id := dead_letter.attributes.get("xcapi_conversion_id"):
        yield conversion_id, pixel_id
    elif settings is not None:
        attributes = kept_attributes(dead_letter)
        for event in read_dead_letter(dead_letter, dead_letter.data, attributes, settings, datetime.now(UTC)):
            if isinstance(event.result, Conversion):
                yield event.result.conversion_id, event.result.pixel_id
            else:
                yield event.conversion_id, event.pixel_id or pixel_id
