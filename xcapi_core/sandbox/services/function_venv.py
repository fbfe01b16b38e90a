"""A virtual environment that holds what the deployed function has: requirements.txt, and nothing else."""

import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.processes import ChildProcess

__all__ = ["FunctionVenv", "InstallStep"]

# What of the caller's own environment would leak packages or settings into the new one.
_LEAKING_VARIABLES = frozenset(
    {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_USER", "__PYVENV_LAUNCHER__"}
)
_PINNED_NAME = re.compile(r"[^\w.\-]")
_PINNED = re.compile(r"^[A-Za-z0-9][\w.\-]*(\[[^]]*])?\s*==", re.MULTILINE)

# pip's words → what the user can do. The first match wins; pip reports a lost network as missing versions, so it comes
# before those.
_FAILURES: Sequence[tuple[re.Pattern[str], str]] = (
    (
        re.compile(r"No space left on device|Disk quota exceeded"),
        "The disk is full: free some space (about 200 MB are needed in {folder}) and run this again.",
    ),
    (
        re.compile(
            r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|SSLError"
            r"|Temporary failure in name resolution|Connection (refused|reset|aborted)|Network is unreachable"
        ),
        "pip could not reach its package index: check the network, a proxy (HTTPS_PROXY) or PIP_INDEX_URL.",
    ),
    (
        re.compile(r"DO NOT MATCH THE HASHES"),
        "A downloaded package does not have the hash that requirements.txt pins: distrust the package index.",
    ),
    (
        re.compile(r"Permission denied|Read-only file system"),
        "{folder} cannot be written: make it writable, and run this again.",
    ),
)
_FINISHED = ".finished"
_NO_VENV = re.compile(r"ensurepip|No module named '?venv")


@dataclass(frozen=True, slots=True)
class InstallStep:
    """Progress: `done` of `total` packages, and what is happening now."""

    done: int
    total: int
    doing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVenv:
    """A finished environment in `folder`."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """The folder of `python` and `functions-framework`."""
        return self.folder / "bin"

    @classmethod
    def prepare(
        cls,
        requirements: Path,
        cache: Path,
        *,
        python: str = sys.executable,
        on_step: Callable[[InstallStep], None] = lambda _: None,
    ) -> "FunctionVenv":
        """Return the cached environment for `requirements`, or make it with `python -m venv` and pip.

        It is kept in `cache` by the hash of `requirements` and the Python version, so an unchanged file costs
        nothing the second time. Raises LocalServiceError with one sentence when it cannot be made.
        """
        pinned = requirements.read_bytes()
        cache = cache.resolve()
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        # The place is part of the key: a virtual environment does not survive being moved.
        key = hashlib.sha256(b"\0".join([pinned, sys.base_prefix.encode(), bytes(cache)])).hexdigest()[:16]
        folder = cache / f"function-venv-{version}-{key}"
        if _usable(folder):
            return cls(folder=folder)
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with _locked(cache / f"{folder.name}.lock"):
                if not _usable(folder):
                    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
                    _make(folder, python, on_step)
                    _install(folder, requirements, total=len(_PINNED.findall(pinned.decode())), on_step=on_step)
                    (folder / _FINISHED).touch()
        except OSError as error:
            if error.filename is None:  # not of a file of ours: `on_step` cannot print
                raise
            raise _failure(str(error), folder) from error
        return cls(folder=folder)


def _usable(folder: Path) -> bool:
    """Say whether the folder was finished and its Python, a link to the system's, is still there."""
    return (folder / _FINISHED).exists() and (folder / "bin" / "python").exists()


def _make(folder: Path, python: str, on_step: Callable[[InstallStep], None]) -> None:
    on_step(InstallStep(0, 0, "making a virtual environment"))
    process = ChildProcess([python, "-m", "venv", str(folder)], environment=_environment())
    if _finish(process) != 0:
        output = "\n".join(process.lines)
        if _NO_VENV.search(output):
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise LocalServiceError(
                f"This Python has no venv module: install it (on Debian and Ubuntu: apt install python{version}-venv) "
                "and run this again."
            )
        raise _failure(output, folder)


def _install(folder: Path, requirements: Path, *, total: int, on_step: Callable[[InstallStep], None]) -> None:
    done = 0

    def follow(line: str) -> None:
        nonlocal done
        if line.startswith("Collecting "):
            done = min(done + 1, total)
            on_step(InstallStep(done, total, _PINNED_NAME.split(line.removeprefix("Collecting "))[0]))
        elif line.startswith("Installing collected packages"):
            on_step(InstallStep(total, total, "installing"))

    pip = [str(folder / "bin" / "python"), "-m", "pip", "--no-input", "--disable-pip-version-check"]
    options = ["--require-hashes", "--progress-bar=off", "--retries=2", "--timeout=15"]
    process = ChildProcess(
        [*pip, "install", *options, "-r", str(requirements)], environment=_environment(), on_line=follow
    )
    if _finish(process) != 0:
        raise _failure("\n".join(process.lines), folder)


def _finish(process: ChildProcess) -> int:
    try:
        return process.wait()
    except BaseException:  # Ctrl-C: pip must not go on by itself
        process.kill()
        raise


def _failure(output: str, folder: Path) -> LocalServiceError:
    for pattern, advice in _FAILURES:
        if pattern.search(output):
            return LocalServiceError(advice.format(folder=folder.parent))
    errors = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines() or ["no output"]
    return LocalServiceError(f"The function's virtual environment could not be made: {errors[-1].strip()}")


def _environment() -> Mapping[str, str]:
    """Give pip the user's own settings (index, proxy, certificates), but nothing of the caller's environment."""
    return {name: value for name, value in os.environ.items() if name not in _LEAKING_VARIABLES}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes: two runs at once must not build the same folder."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
