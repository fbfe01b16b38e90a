"""Which dead letters a command is about."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import click

from xcapi_core.cli.dlq.dead_letter import EXHAUSTED, DeadLetter
from xcapi_core.cli.durations import DURATION
from xcapi_core.outcomes import DeadLetterReason

__all__ = ["Filters", "filter_options"]

_REASONS: Final = (*(reason.value for reason in DeadLetterReason), EXHAUSTED)
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a dead letter must be; empty and None let everything pass. `limit` is for the caller that counts."""

    reasons: tuple[str, ...] = ()
    pixels: tuple[str, ...] = ()
    error_codes: tuple[str, ...] = ()
    older_than: timedelta | None = None
    newer_than: timedelta | None = None
    limit: int | None = None

    def match(self, dead_letter: DeadLetter, now: datetime) -> bool:
        """Tell whether this dead letter is meant."""
        age = now - dead_letter.failed_at
        return (
            (not self.reasons or dead_letter.reason in self.reasons)
            and (not self.pixels or dead_letter.pixel_id in self.pixels)
            and (not self.error_codes or dead_letter.error_code in self.error_codes)
            and (self.older_than is None or age > self.older_than)
            and (self.newer_than is None or age < self.newer_than)
        )


def filter_options(function: _Function) -> _Function:
    """Add the filters, as `filters`, to a command; each may be given several times."""

    def command(
        *,
        reason: tuple[str, ...],
        pixel: tuple[str, ...],
        error_code: tuple[str, ...],
        older_than: timedelta | None,
        newer_than: timedelta | None,
        limit: int | None,
        **others: Any,  # noqa: ANN401 - the command's own options
    ) -> object:
        filters = Filters(
            reasons=reason,
            pixels=pixel,
            error_codes=error_code,
            older_than=older_than,
            newer_than=newer_than,
            limit=limit,
        )
        return function(filters=filters, **others)

    command.__click_params__ = list(getattr(function, "__click_params__", []))  # type: ignore[attr-defined]  # click's
    options = (
        click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many."),
        click.option("--newer-than", type=DURATION, metavar="AGE", help="Failed less than AGE ago: 36h, 2d."),
        click.option("--older-than", type=DURATION, metavar="AGE", help="Failed more than AGE ago."),
        click.option("--error-code", multiple=True, metavar="CODE", help="X's error code, as `list` shows it."),
        click.option("--pixel", multiple=True, metavar="ID", help="Of this pixel."),
        click.option(
            "--reason",
            multiple=True,
            type=click.Choice(_REASONS),
            metavar="REASON",
            help=f"Of this reason (repeatable): {', '.join(_REASONS)}.",
        ),
    )
    decorated: Any = command
    for option in options:
        decorated = option(decorated)
    result: _Function = decorated
    return result
