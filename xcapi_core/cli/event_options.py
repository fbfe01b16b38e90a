"""The options of every command that reads events from files."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from xcapi_core.settings import Settings

__all__ = ["check_pixel", "format_option", "input_option", "pixel_option"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def format_option(function: _Function) -> _Function:
    """Add `--format`, as `format_`."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["x", "ga4", "segment"]),
        help="The events' format, as a message's attribute; detected without it.",
    )(function)


def pixel_option(function: _Function) -> _Function:
    """Add `--pixel`."""
    return click.option("--pixel", help="The pixel of events that name none, as a message's attribute pixel_id.")(
        function
    )


def input_option(function: _Function) -> _Function:
    """Add `--input`, as `input_format`."""
    return click.option(
        "--input",
        "input_format",
        type=click.Choice(["auto", "json", "jsonl", "csv"]),
        default="auto",
        show_default=True,
        help="How the files are written; auto goes by their names and first lines.",
    )(function)


def check_pixel(pixel: str | None, settings: Settings, option: str = "--pixel") -> None:
    """End the command where a pixel that was given is none of the configuration's."""
    if pixel is not None and pixel not in settings.pixels:
        raise click.BadParameter(f"none of the configured pixels: {', '.join(settings.pixels)}", param_hint=option)
