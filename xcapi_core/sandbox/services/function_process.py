"""The real function under the Functions Framework, as the platform starts it, with a clean environment."""

import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.http_probe import answers_ok
from xcapi_core.sandbox.services.ports import LOOPBACK, free_port, is_free, require_free
from xcapi_core.sandbox.services.processes import ChildProcess, runtime_folder

__all__ = ["FunctionProcess"]

_PASSED_ON = ("HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
_MACHINE = (*_PASSED_ON, "PATH", "XDG_RUNTIME_DIR", "PYTHONUNBUFFERED")
_START_TIMEOUT_S = 90.0
_POLL_INTERVAL_S = 0.02
_PORT_ATTEMPTS = 3


class FunctionProcess:
    """A context manager: while it is open, `functions-framework --target=send_conversions` answers at `url`.

    `config` becomes XCAPI_CONFIG. The process sees `PATH`, `HOME` and the like, the variables named here and
    `extra_environment`: neither PYTHONPATH nor anything else of the caller's. With `port` None a free one is taken.
    """

    def __init__(
        self,
        venv: FunctionVenv,
        config: Mapping[str, object],
        *,
        source: Path,
        pubsub_address: str | None = None,
        secret_manager_address: str | None = None,
        project: str = "demo-project",
        port: int | None = None,
        target: str = "send_conversions",
        extra_environment: Mapping[str, str] | None = None,
        start_timeout_s: float = _START_TIMEOUT_S,
    ) -> None:
        """Remember, and make a folder for the process: nothing is started before `start`. `source` has main.py."""
        self._command = [str(venv.scripts / "functions-framework"), f"--target={target}", f"--host={LOOPBACK}"]
        self._source = source
        self._wanted_port = port
        self._start_timeout_s = start_timeout_s
        self._port = 0
        self._process: ChildProcess | None = None
        self._environment = {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "PATH": os.pathsep.join([str(venv.scripts), "/usr/local/bin", "/usr/bin", "/bin"]),
            "XDG_RUNTIME_DIR": runtime_folder(self),
            "PYTHONUNBUFFERED": "TRUE",  # as Google's Python builder sets it
            "GOOGLE_CLOUD_PROJECT": project,
            "XCAPI_CONFIG": json.dumps(config),
            **({"PUBSUB_EMULATOR_HOST": pubsub_address} if pubsub_address else {}),
            **({"SECRET_MANAGER_EMULATOR_HOST": secret_manager_address} if secret_manager_address else {}),
            **(extra_environment or {}),
        }

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, if it still runs; of one that has ended, nothing is left either."""
        if self._process is not None:
            self.stop()

    @property
    def url(self) -> str:
        """The push endpoint."""
        return f"http://{LOOPBACK}:{self._port}/"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def shell_command(self) -> str:
        """What starts the same by hand, in a shell: folder, settings and command."""
        shown = {name: value for name, value in self._environment.items() if name not in _MACHINE}
        settings = [f"{name}={shlex.quote(value)}" for name, value in {**shown, "PORT": str(self._port)}.items()]
        return f"cd {shlex.quote(str(self._source))} && {' '.join(settings)} {shlex.join(self._command)}"

    @property
    def pid(self) -> int:
        """The arbiter's process id; the worker is its child."""
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._running.exit_code

    @property
    def lines(self) -> list[str]:
        """Every line of output so far, stdout and stderr together, as Cloud Logging would receive them."""
        return self._running.lines

    @property
    def log_entries(self) -> list[dict[str, object]]:
        """The output lines that are JSON objects."""
        return [entry for line in self.lines if (entry := _json_object(line)) is not None]

    def start(self) -> None:
        """Start the process and return as soon as `GET /` answers 200.

        Raises LocalServiceError when the port is taken, the process ends (with its last words) or does not
        answer in time.
        """
        if self._wanted_port is not None:
            require_free(self._wanted_port, "the function")
        for _ in range(_PORT_ATTEMPTS):
            self._port = self._wanted_port or free_port()
            self._process = self._launch()
            try:
                if self._process.wait_until(lambda: answers_ok(self._port), timeout_s=self._start_timeout_s):
                    return
            except BaseException:  # Ctrl-C: what never got to run inside a `with` would be ended by nobody
                self._process.kill()
                raise
            ended = self._process.exit_code
            self._process.kill()
            if self._wanted_port is not None or is_free(self._port):
                break  # another program took the port between our look and its use otherwise
        raise LocalServiceError(_why_not_started(self._running.lines, ended, self._start_timeout_s))

    def stop(self, signal_number: signal.Signals = signal.SIGTERM, *, grace_s: float = 12.0) -> int:
        """Signal the arbiter, as Cloud Run does, and return the exit code; kill the group after `grace_s`."""
        return self._running.stop(signal_number, grace_s=grace_s)

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal and do not wait."""
        self._running.send(signal_number)

    def kill(self) -> int:
        """Kill arbiter and worker with SIGKILL, at once."""
        return self._running.kill()

    def wait_for_log(
        self, wanted: Callable[[dict[str, object]], bool], *, timeout_s: float = 60.0
    ) -> dict[str, object]:
        """Return the first log entry that `wanted` holds for; raise TimeoutError when there is none in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for entry in self.log_entries:
                if wanted(entry):
                    return entry
            time.sleep(_POLL_INTERVAL_S)
        raise TimeoutError(f"no such log entry within {timeout_s} s among {len(self.lines)} lines")

    @property
    def _running(self) -> ChildProcess:
        if self._process is None:
            raise RuntimeError("FunctionProcess is not started: use it as a context manager")
        return self._process

    def _launch(self) -> ChildProcess:
        try:
            return ChildProcess(
                self._command,
                environment={**self._environment, "PORT": str(self._port)},
                directory=self._source,
            )
        except OSError as error:
            raise LocalServiceError(f"{self._command[0]} cannot be started: {error.strerror}.") from error


def _json_object(line: str) -> dict[str, object] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _why_not_started(lines: list[str], exit_code: int | None, timeout_s: float) -> str:
    ending = f"did not answer within {timeout_s:g} s" if exit_code is None else f"ended with exit code {exit_code}"
    last_words = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"The function {ending}." + (f" Its last words: {last_words}" if last_words else "")
