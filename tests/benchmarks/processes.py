"""The processes of a run: started on cores of their own, and asked what they used."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.benchmarks.results import CannotMeasureError
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_venv import FunctionVenv, InstallStep
from xcapi_core.sandbox.services.ports import LOOPBACK, free_port
from xcapi_core.sandbox.services.processes import runtime_folder

__all__ = [
    "FUNCTIONS",
    "FunctionServer",
    "Process",
    "cores",
    "cpu_s",
    "family",
    "function_venv",
    "on_core",
    "pss_bytes",
]

FUNCTIONS = Path(__file__).parent / "functions"
_START_TIMEOUT_S = 30.0
_POLL_S = 0.001
_KEPT = ("HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


def cores() -> list[int]:
    """Return the cores that this process may use; empty where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextlib.contextmanager
def on_core(index: int) -> Iterator[None]:
    """Start processes on one core: that of this index, where there are at least two."""
    own = cores()
    if len(own) < 2:
        yield
        return
    # Of the calling thread alone; the children that it starts inherit it.
    os.sched_setaffinity(0, {own[index]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def function_venv(on_step: Callable[[InstallStep], None]) -> FunctionVenv:
    """Return the environment that the deployed function has: requirements.txt and nothing else."""
    root = repository_root()
    return FunctionVenv.prepare(root / "requirements.txt", root / ".cache", on_step=on_step)


class Process:
    """A context manager around one program in a group of its own; its output goes to a file."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], core: int) -> None:
        """Only remember; `core` is an index into `cores()`."""
        self._command = list(command)
        self._environment = dict(environment)
        self._core = core
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with on_core(self._core):
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=repository_root(),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # At once: how the function stops is the tests' business.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, 9)
        if self._process is not None:
            self._process.wait()
        self._output.close()

    @property
    def pid(self) -> int:
        """The first process's id, which is its group's too."""
        if self._process is None:
            raise RuntimeError("the process is not started: use it as a context manager")
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._process is None or self._process.poll() is not None

    @property
    def last_words(self) -> str:
        """The last line of its output."""
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - 4_000))
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "none"

    def connect(self, port: int) -> socket.socket:
        """Wait until somebody listens, and return the connection. Raises CannotMeasureError."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and not self.ended:
            try:
                return socket.create_connection((LOOPBACK, port))
            except OSError:
                time.sleep(_POLL_S)
        raise CannotMeasureError(f"{Path(self._command[0]).name} did not start; its last words: {self.last_words}")


class FunctionServer(Process):
    """A function under the Functions Framework, with what the deployed one has installed, on the first core."""

    def __init__(
        self, venv: FunctionVenv, source: Path, configuration: str, *, more: Mapping[str, str] | None = None
    ) -> None:
        """Only remember; `configuration` becomes XCAPI_CONFIG, `more` goes into the environment."""
        self.port = free_port()
        super().__init__(
            [
                str(venv.scripts / "functions-framework"),
                f"--source={source}",
                "--target=send_conversions",
                f"--host={LOOPBACK}",
                f"--port={self.port}",
            ],
            environment={
                **{name: os.environ[name] for name in _KEPT if name in os.environ},
                "PATH": os.pathsep.join([str(venv.scripts), "/usr/local/bin", "/usr/bin", "/bin"]),
                "PYTHONPATH": str(repository_root()),  # the functions of tests/benchmarks import the product
                "XDG_RUNTIME_DIR": runtime_folder(self),
                "GOOGLE_CLOUD_PROJECT": "bench-project",
                "XCAPI_CONFIG": configuration,
                **(more or {}),
            },
            core=0,
        )

    def ready(self) -> Self:
        """Wait until it accepts connections."""
        self.connect(self.port).close()
        return self

    @property
    def url(self) -> str:
        """The push endpoint."""
        return f"http://{LOOPBACK}:{self.port}/"


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in children.read_text().split()]
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process and its descendants have used, in seconds."""
    return sum(_cpu_of(each) for each in family(pid))


def pss_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants, shared pages counted once. Raises CannotMeasureError."""
    return sum(_pss_of(each) for each in family(pid))


def _cpu_of(pid: int) -> float:
    total_ns = 0
    # By thread, since only there the scheduler's account has nanoseconds. What threads that ended used is lost; those
    # that are measured keep theirs.
    for schedule in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total_ns += int(schedule.read_text().split()[0])
    if total_ns:
        return total_ns / 1e9
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise CannotMeasureError("this system has no /proc to read CPU times from") from error
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss_of(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError as error:
        raise CannotMeasureError("this system has no /proc/…/smaps_rollup to read memory from") from error
    return 0
