"""The `xcapi` group: which commands there are, each in a module of its own that is imported when it runs."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final, NamedTuple

import click

from xcapi_core import __version__

__all__ = ["xcapi"]


class _Command(NamedTuple):
    module: str
    function: str
    summary: str


# In the order in which a newcomer meets them.
_COMMANDS: Final[Mapping[str, _Command]] = {
    "demo": _Command(
        "xcapi_core.cli.demo.command", "demo", "Show the whole path on this machine, from message to X's answer."
    ),
    "sandbox": _Command(
        "xcapi_core.cli.sandbox", "sandbox", "Run a local X Conversions API to try any client against."
    ),
    "validate": _Command(
        "xcapi_core.cli.validate.command", "validate", "Show what the events in files would become at X."
    ),
}


class _LazyGroup(click.Group):
    """A group that imports a command only to run it: `xcapi --help` needs none of the commands' libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        try:
            command = getattr(import_module(entry.module), entry.function)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "xcapi_core":
                raise
            raise click.ClickException(
                f"xcapi {cmd_name} needs the package {error.name}, which is not installed: "
                "pip install '.[cli,sandbox]', in a checkout"
            ) from error
        assert isinstance(command, click.Command)  # noqa: S101  the table above is ours
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`xcapi COMMAND --help` says more about each.",
)
@click.version_option(__version__, prog_name="xcapi")
def xcapi() -> None:
    """Server-side conversions from Google Cloud Pub/Sub to X."""
