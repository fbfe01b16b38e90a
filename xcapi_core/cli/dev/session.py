"""One call of `xcapi dev`: a sandbox, and a run for each time that the files are sent."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from xcapi_core.cli.dev.local_settings import read_document, sandbox_for
from xcapi_core.cli.dev.output import Output, Tally
from xcapi_core.cli.dev.run import Run, SentEvent
from xcapi_core.cli.dev.stage import PROJECT, Stage, open_stage
from xcapi_core.cli.files import NO_EVENT, InputError, InputFormat, read_chunks
from xcapi_core.cli.local_services import prepare_function
from xcapi_core.sandbox.server import PortTakenError, SandboxServer
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_venv import InstallStep
from xcapi_core.settings import Settings

__all__ = ["Session", "Wishes"]

_PORT: Final = 8089
_KEPT: Final = 50_000
_POLL_S: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is to be sent, and how. `attributes` go onto every message; with `stays` the console is served for good."""

    files: tuple[str, ...]
    config_file: Path | None
    settings: Settings
    attributes: Mapping[str, str]
    input_format: InputFormat
    timeout_s: float
    watch: bool
    stays: bool


class Session:
    """One call of the command: a sandbox, and a run for each time that the files are sent."""

    def __init__(self, wishes: Wishes, output: Output) -> None:
        self._wishes = wishes
        self._output = output

    def run(self, port: int | None, *, any_tag: bool) -> bool:
        """Send the files once, or again at each save, and serve the console; return whether all was well."""
        local = prepare_function(self._installing)
        self._output.step("Starting the sandbox X Conversions API")
        with ExitStack() as running:
            sandbox = self._sandbox(port, any_tag=any_tag)
            running.callback(sandbox.stop)
            while True:
                seen = self._stamps()
                with open_stage(
                    sandbox, local, read_document(self._wishes.config_file), self._wishes.settings, self._starting
                ) as stage:
                    self._output.started(sandbox.url + "/", stage.function.shell_command, _publishing(stage))
                    run = Run(stage, self._wishes.attributes)
                    is_well = self._send(run, stage, seen) if self._wishes.files else True
                    if not self._wishes.stays:
                        return is_well
                    self._output.step("Serving the console until Ctrl-C")
                    self._wait(run, stage, seen)
                sandbox.reset()
                self._output.step("Saved: sending again")

    def _sandbox(self, port: int | None, *, any_tag: bool) -> SandboxServer:
        config = sandbox_for(self._wishes.settings, any_tag=any_tag)
        wanted = _PORT if port is None and self._wishes.stays else port or 0
        server = SandboxServer(config, port=wanted, console_title="dev", keep_entries=_KEPT)
        try:
            return server.start()
        except PortTakenError as error:
            if port is not None:
                raise LocalServiceError(f"Port {port} is taken: choose another with --port.") from error
            return SandboxServer(config, console_title="dev", keep_entries=_KEPT).start()

    def _installing(self, step: InstallStep) -> None:
        # Once, not for each of fifty packages.
        if not step.done and not step.total:
            self._output.step("Installing the function's packages, once; this takes about a minute")

    def _starting(self, component: str) -> None:
        self._output.step(f"Starting {component}")

    def _send(self, run: Run, stage: Stage, seen: Mapping[str, object]) -> bool:
        """Send every file and follow the events; a save in the middle gives the run up."""
        tally = Tally()

        def tell(events: Iterator[SentEvent]) -> None:
            for event in events:
                self._output.event(event)
                tally.add(event)

        def follow() -> None:
            run.look()
            tell(run.take_ended())

        for file in self._wishes.files:
            before = run.count + tally.unpublished
            try:
                with click.open_file(file, "rb") as stream:
                    for chunk in read_chunks(stream, file, self._wishes.input_format):
                        unpublished = run.publish(chunk, file)
                        if unpublished is not None:
                            tally.unpublished += 1
                            self._output.unpublished(unpublished)
                        while run.is_full and not self._is_given_up(stage, seen):
                            follow()
                if run.count + tally.unpublished == before:
                    raise InputError(NO_EVENT)  # noqa: TRY301 - told as what reading itself finds
            except InputError as error:
                tally.files_unread += 1
                self._output.trouble(file, str(error))
            except OSError as error:
                if error.filename is None:  # the output's
                    raise
                # In the middle of a save, or moved away: it is sent when it is there again.
                tally.files_unread += 1
                self._output.trouble(file, error.strerror or "unreadable")
        deadline = time.monotonic() + self._wishes.timeout_s
        while (
            not run.is_over
            and not self._is_given_up(stage, seen)
            and (self._wishes.stays or time.monotonic() < deadline)
        ):
            follow()
        follow()
        tell(run.take_all())
        self._output.summary(tally)
        return tally.is_well

    def _is_given_up(self, stage: Stage, seen: Mapping[str, object]) -> bool:
        return stage.function.exit_code is not None or (self._wishes.watch and self._stamps() != seen)

    def _wait(self, run: Run, stage: Stage, seen: Mapping[str, object]) -> None:
        """Serve the console until a file is saved, or for good; show what others publish meanwhile."""
        while not (self._wishes.watch and self._stamps() != seen):
            if stage.function.exit_code is not None:
                words = next((line for line in reversed(stage.function.lines) if line.strip()), "none")
                raise LocalServiceError(f"The function ended by itself. Its last words: {words}")
            run.look()
            for event in run.take_ended():
                self._output.event(event)
            time.sleep(_POLL_S)

    def _stamps(self) -> dict[str, object]:
        """Return what changes when a file is saved, also by editors that put a new one in its place."""
        return dict(_stamp(file) for file in (self._wishes.files if self._wishes.watch else ()))


def _stamp(file: str) -> tuple[str, object]:
    try:
        status = Path(file).stat()
    except OSError:  # in the middle of a save
        return file, None
    return file, (status.st_mtime_ns, status.st_size, status.st_ino)


def _publishing(stage: Stage) -> str:
    topic = stage.path.topic.rpartition("/")[2]
    return f"PUBSUB_EMULATOR_HOST={stage.pubsub.address}, project {PROJECT}, topic {topic}"
