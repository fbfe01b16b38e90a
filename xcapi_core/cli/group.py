"""The `xcapi` group: which commands there are, each in a module of its own that is imported when it runs."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Final, NamedTuple

import click

from xcapi_core import __version__
from xcapi_core.cli.stop import INTERRUPTED

__all__ = ["Entry", "LazyGroup", "xcapi"]


class Entry(NamedTuple):
    """Where a command is, and its line in the group's help."""

    module: str
    function: str
    summary: str


# In the order in which a newcomer meets them.
_COMMANDS: Final[Mapping[str, Entry]] = {
    "demo": Entry(
        "xcapi_core.cli.demo.command", "demo", "Show the whole path on this machine, from message to X's answer."
    ),
    "dev": Entry(
        "xcapi_core.cli.dev.command", "dev", "Send your own events through the real function to a sandbox, and watch."
    ),
    "sandbox": Entry("xcapi_core.cli.sandbox", "sandbox", "Run a local X Conversions API to try any client against."),
    "validate": Entry(
        "xcapi_core.cli.validate.command", "validate", "Show what the events in files would become at X."
    ),
    "authorize": Entry(
        "xcapi_core.cli.authorize.command", "authorize", "Get the OAuth keys of a handle that does not own the app."
    ),
    "tags": Entry("xcapi_core.cli.tags.command", "tags", "List the pixel's event tags at X, or make one."),
    "doctor": Entry(
        "xcapi_core.cli.doctor.command", "doctor", "Check the set-up against the real services, and say what to do."
    ),
    "publish": Entry("xcapi_core.cli.publish.command", "publish", "Publish the events in files to a topic."),
    "listen": Entry("xcapi_core.cli.listen.command", "listen", "Show what the events on a live topic become at X."),
    "trace": Entry("xcapi_core.cli.trace.command", "trace", "Tell where a conversion ended, by its id."),
    "status": Entry("xcapi_core.cli.status.command", "status", "Show backlog, last delivery, dead letters, pauses."),
    "dlq": Entry("xcapi_core.cli.dlq.command", "dlq", "Look at dead letters, send them again, delete them."),
}


class LazyGroup(click.Group):
    """A group that imports a command only to run it: `xcapi --help` needs none of the commands' libraries."""

    def __init__(self, *arguments: object, entries: Mapping[str, Entry], **attributes: object) -> None:
        super().__init__(*arguments, **attributes)  # type: ignore[arg-type]  # click's own, which it does not name
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the commands' names."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        try:
            command = getattr(import_module(entry.module), entry.function)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "xcapi_core":
                raise
            raise click.ClickException(
                f"{ctx.command_path} {cmd_name} needs the package {error.name}, which is not installed: "
                "pip install '.[cli,sandbox]', in a checkout"
            ) from error
        assert isinstance(command, click.Command)  # noqa: S101  the tables are ours
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments; of a wrong name, say which one was meant."""
        if args and args[0] not in self._entries and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0].lower(), self._entries, n=3, cutoff=0.5)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"No such command: {args[0]}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  as above
        """Write the commands and their summaries, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self._entries.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; Ctrl-C ends it with the exit code that shells know."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            # click's own 1 says that something is wrong.
            ctx.exit(INTERRUPTED)


@click.group(
    cls=LazyGroup,
    entries=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""`xcapi COMMAND --help` says more about each, with an example.

\b
Completion of commands and options in the shell:
  eval "$(_XCAPI_COMPLETE=bash_source xcapi)"
(zsh_source for zsh; for fish:
  _XCAPI_COMPLETE=fish_source xcapi | source)
""",
)
@click.version_option(__version__, prog_name="xcapi")
def xcapi() -> None:
    """Server-side conversions from Google Cloud Pub/Sub to X."""
