"""`xcapi doctor`: checks a set-up against the real services."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.text import Text

from xcapi_core.cli.configuration import NO_CONFIGURATION, config_option, read_configuration
from xcapi_core.cli.console import new_console
from xcapi_core.cli.doctor.at_x import ChecksAtX
from xcapi_core.cli.doctor.check import Check, Checks, Status
from xcapi_core.cli.doctor.keys import KeyChecks
from xcapi_core.cli.event_options import check_pixel
from xcapi_core.cli.x.keys import file_reference
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.settings.reader import ConfigurationError

__all__ = ["doctor"]

_STYLES: Final[dict[Status, str]] = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}

_HELP = """Check the set-up against the real services, and say what to do about each failure.

It reads the configuration and the secrets, asks X with each pixel's keys, and looks at the topics and subscriptions. X
is asked with one synthetic conversion a pixel that X must refuse, so nothing is counted; where X refuses anything else,
nothing more is asked. With OAuth keys X's tags are read too: their type, status, and when X last saw each.

\b
xcapi doctor --config config.json
xcapi doctor --topic x-conversions \\
  --subscription x-conversions

Rotate keys: try them before they go live, add the version, disable the old one.

\b
xcapi doctor --keys keys.json --pixel o8z6j &&
  gcloud secrets versions add x-ads-o8z6j \\
    --data-file=keys.json

Exits with 0 if nothing failed (warnings too), 1 if anything did, 2 for wrong usage.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 120})
@config_option
@click.option("--topic", help="The events' topic; skipped without it.")
@click.option("--subscription", help="The events' subscription; skipped without it.")
@click.option("--project", help="The Google Cloud project of short names.")
@click.option(
    "--keys",
    "keys_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Keys to try before they go into Secret Manager; needs --pixel, and looks at X alone.",
)
@click.option("--pixel", "pixel_id", help="Look at this pixel alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each check, then the summary.")
def doctor(
    *,
    config_file: Path | None,
    topic: str | None,
    subscription: str | None,
    project: str | None,
    keys_file: Path | None,
    pixel_id: str | None,
    as_json: bool,
) -> None:
    """Check; see the help text above."""
    if keys_file is not None and pixel_id is None:
        raise click.UsageError("--keys needs --pixel: keys are tried for one pixel.")
    console = new_console()
    counts: Counter[Status] = Counter()
    google = _AtGoogle(topic, subscription, project)
    for check in _all(config_file, pixel_id, keys_file, google):
        counts[check.status] += 1
        if as_json:
            click.echo(json.dumps(check.as_json(), ensure_ascii=False))
            sys.stdout.flush()
        else:
            _show(console, check)
    if as_json:
        click.echo(json.dumps({"summary": {status: counts[status] for status in _STYLES}}))
    else:
        shown = ", ".join(f"{counts[status]} {status}" for status in _STYLES if counts[status])
        console.print(Text(f"\n{shown}", style="bold red" if counts["failed"] else "bold green"))
    sys.exit(1 if counts["failed"] else 0)


class _AtGoogle(NamedTuple):
    """What was told of the events' side at Google."""

    topic: str | None
    subscription: str | None
    project: str | None

    def checks(self, settings: Settings) -> Iterator[Check]:
        """Yield the checks of topics, subscriptions and permissions."""
        # Google's clients are slow to import, and `--keys` needs none of them.
        from xcapi_core.cli.doctor.at_google import ChecksAtGoogle  # noqa: PLC0415
        from xcapi_core.cli.google.names import full_name  # noqa: PLC0415

        yield from ChecksAtGoogle(
            settings,
            topic=self.topic and full_name("topics", self.topic, self.project, settings),
            subscription=self.subscription and full_name("subscriptions", self.subscription, self.project, settings),
        )


def _all(config_file: Path | None, pixel_id: str | None, keys_file: Path | None, google: _AtGoogle) -> Iterator[Check]:
    checks = Checks()
    try:
        settings = read_configuration(config_file)
    except ConfigurationError as error:
        for problem in error.problems:
            yield checks.failed("configuration", str(problem), 'README, "Configure", has every key.')
        return
    except OSError as error:
        yield checks.failed("configuration", f"{config_file}: {error.strerror}", "Name a file that you can read.")
        return
    if settings is None:
        raise click.UsageError(NO_CONFIGURATION)
    pixels = _pixels(settings, pixel_id, keys_file)
    yield checks.ok("configuration", f"{len(settings.pixels)} pixel{'s' if len(settings.pixels) > 1 else ''}")
    if settings.dry_run:
        yield checks.warning("configuration", "dry_run: conversions are being discarded", "Set dry_run to false.")
    for pixel in pixels:
        yield from _of_pixel(settings, pixel)
    if keys_file is None:
        yield from google.checks(settings)


def _pixels(settings: Settings, pixel_id: str | None, keys_file: Path | None) -> list[PixelSettings]:
    check_pixel(pixel_id, settings)
    if pixel_id is None:
        return list(settings.pixels.values())
    pixel = settings.pixels[pixel_id]
    if keys_file is None:
        return [pixel]
    return [msgspec.structs.replace(pixel, credentials=file_reference(keys_file))]


def _of_pixel(settings: Settings, pixel: PixelSettings) -> Iterator[Check]:
    keys = KeyChecks(pixel.pixel_id, pixel.credentials)
    yield from keys
    yield from ChecksAtX(settings, pixel, keys.credentials)


def _show(console: Console, check: Check) -> None:
    place = " ".join(part for part in (check.check.replace("_", " "), check.pixel_id, check.event) if part)
    line = Text.assemble((f"{check.status:8}", _STYLES[check.status]), (f"{place}: ", "bold"), check.found)
    console.print(line, soft_wrap=not console.is_terminal)
    if check.fix:
        console.print(Text(f"        → {check.fix}"), soft_wrap=not console.is_terminal)
