"""The configuration as commands find it: --config FILE, else what the function itself reads."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from xcapi_core.settings import Settings
from xcapi_core.settings.reader import ConfigurationError, load_settings, read_settings

__all__ = ["NO_CONFIGURATION", "config_option", "load_configuration", "read_configuration", "require_configuration"]

_VARIABLES: Final = ("XCAPI_CONFIG", "XCAPI_CONFIG_FILE")

NO_CONFIGURATION: Final = """There is no configuration, and without one nobody knows your pixel and the events it wants.
Give --config FILE, or set XCAPI_CONFIG or XCAPI_CONFIG_FILE. The least that works, with your own ids in it:

  {"dead_letter_topic": "file:dead-letters.jsonl",
   "pixels": {"o8z6j": {"credentials": "env:X_KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21"}}}}"""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def config_option(function: _Function) -> _Function:
    """Add `--config FILE`, as `config_file`, to a command."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The configuration; else XCAPI_CONFIG or XCAPI_CONFIG_FILE.",
    )(function)


def load_configuration(config_file: Path | None) -> Settings | None:
    """Return the configuration, None where there is none; a bad one ends the command with every problem."""
    try:
        return read_configuration(config_file)
    except ConfigurationError as error:
        text = str(error)
        raise click.ClickException(f"{config_file}: {text}" if config_file else text) from error
    except OSError as error:
        raise click.ClickException(f"Cannot read {config_file}: {error.strerror}.") from error


def read_configuration(config_file: Path | None) -> Settings | None:
    """Return the configuration, None where there is none. Raises ConfigurationError, OSError."""
    if config_file is not None:
        return read_settings(config_file.read_bytes())
    if not any(os.environ.get(name, "").strip() for name in _VARIABLES):
        return None
    return load_settings(os.environ)


def require_configuration(config_file: Path | None) -> Settings:
    """Return the configuration; where there is none, end the command with the least that works."""
    settings = load_configuration(config_file)
    if settings is None:
        raise click.UsageError(NO_CONFIGURATION)
    return settings
