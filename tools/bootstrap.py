"""Builds .venv: the locked packages and this project, editable. Every target of the Makefile runs it first.

A stamp inside .venv says what it was built from, so that the next run has nothing to do. All output goes to stderr:
stdout belongs to the command that follows. What can go wrong on somebody's machine ends in one sentence that says
what to do; pip's own words stay in .cache/setup.log.
"""

import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / (os.environ.get("XCAPI_VENV") or ".venv")  # CI builds one for each Python
VENV_PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements-dev.txt"
PROJECT = ROOT / "pyproject.toml"
STAMP = VENV / ".xcapi-setup.json"
UNFINISHED = VENV / ".xcapi-setup-unfinished"
CACHE = ROOT / ".cache"
LOG = CACHE / "setup.log"

NEEDED_MB = 400  # measured: 250 MB of .venv, and what pip downloads and unpacks on the way
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

_AGAIN = "and run the same command again."
_REACHES_NOTHING = "|".join(  # urllib3's and requests' names for it
    (
        *("NewConnectionError", "ConnectTimeout", "ReadTimeout", "timed out", "NameResolutionError", "ProxyError"),
        *("Temporary failure in name resolution", "Connection refused", "Connection reset", "Connection broken"),
        *("IncompleteRead", "Network is unreachable", "RemoteDisconnected", r"HTTP error (403|407|5\d\d)"),
    )
)

# What pip says when something outside this project is wrong → what to do about it. The first match wins.
_REMEDIES = {
    "No space left on device|Errno 28|Disk quota exceeded": (
        f"The disk is full: set-up needs about {NEEDED_MB} MB in {{venv}}; make room {_AGAIN}"
    ),
    "DO NOT MATCH THE HASHES": (
        "A downloaded package is not the one that requirements-dev.txt names, so it was not installed: try another"
        f" network or mirror (PIP_INDEX_URL=…), or `pip cache purge`, {_AGAIN}"
    ),
    "CERTIFICATE_VERIFY_FAILED|SSLError": (
        "The package registry's certificate is not trusted here: give pip your network's CA file with"
        f" PIP_CERT=/path/to/ca.pem {_AGAIN}"
    ),
    _REACHES_NOTHING: (
        "The package registry cannot be reached: check the network (HTTPS_PROXY=… names a proxy, PIP_INDEX_URL=… a"
        f" mirror) {_AGAIN}"
    ),
    "Failed building wheel|error: command .*(gcc|cc|clang|cargo|rustc)|can't find Rust compiler": (
        "A package has no ready-made wheel for this machine and could not be built: use Python 3.11, 3.12 or 3.13"
        f" (PYTHON=/path/to/python3.12), or install a C and a Rust compiler, {_AGAIN}"
    ),
    "Permission denied|Errno 13|Read-only file system|Errno 30": (
        f"Set-up may not write to {{venv}}: mend its permissions {_AGAIN}"
    ),
    "No matching distribution found": (
        "The package registry has no copy of a locked package for this Python: a mirror may lag behind"
        " (PIP_INDEX_URL=… names another), or this Python is too new (PYTHON=/path/to/python3.12)."
    ),
}


class SetupError(Exception):
    """Set-up cannot go on; the text is the one sentence for the person at the terminal."""


def main() -> int:
    """Bring .venv up to date, doing only what is not done yet."""
    # sys.prefix stays the venv's when .venv's own Python runs this; its base builds the next one.
    base_python = str(getattr(sys, "_base_executable", None) or sys.executable)
    wanted = {
        "venv": str(VENV),  # its scripts hold this path: a moved checkout needs a new one
        "requirements": _digest(REQUIREMENTS),
        "project": _digest(PROJECT),
    }
    if _is_current(wanted):
        return 0
    CACHE.mkdir(exist_ok=True)
    with _only_one():
        if _is_current(wanted):  # somebody else has done it while this one waited
            return 0
        _build(wanted, base_python)
    return 0


def _build(wanted: dict[str, str], base_python: str) -> None:
    started = time.monotonic()
    done = _stamp()
    usable = _runs() and not UNFINISHED.exists() and done.get("venv", wanted["venv"]) == wanted["venv"]
    if not usable:
        _create_venv(base_python)
    fresh = not usable or done.get("requirements") != wanted["requirements"]
    UNFINISHED.touch()
    STAMP.unlink(missing_ok=True)
    if fresh:
        packages = len(re.findall(r"(?m)^[A-Za-z0-9].*==", REQUIREMENTS.read_text()))
        _say(f"Installing {packages} packages into {_shown(VENV)} (Python {_VERSION}, about a minute) …")
        _pip("--require-hashes", "-r", str(REQUIREMENTS), count=packages)
    # hatchling is among the locked packages, so nothing unlocked is fetched to build with.
    _pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    STAMP.write_text(json.dumps(wanted, indent=2) + "\n")
    UNFINISHED.unlink()
    if fresh:
        _say(f"Set up in {time.monotonic() - started:.0f} s.")


def _is_current(wanted: dict[str, str]) -> bool:
    return not UNFINISHED.exists() and _stamp() == wanted and _runs()


def _stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _runs() -> bool:
    """Whether .venv has a working Python of the wanted version, and pip in it."""
    probe = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    try:
        found = subprocess.run([VENV_PYTHON, "-I", "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return found.returncode == 0 and found.stdout.strip() == _VERSION


def _create_venv(base_python: str) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(_NO_VENV_MODULE)
    if VENV.is_symlink() or VENV.is_file():
        raise SetupError(f"{VENV} is no directory: remove it and run the same command again.")
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(parents=True, exist_ok=True)
    UNFINISHED.touch()
    command = [base_python, "-I", "-m", "venv", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if made.returncode:
        raise _failure(made.stdout + made.stderr, otherwise=_NO_VENV_MODULE)


_NO_VENV_MODULE = (
    f"This Python has no working venv module: install it (Debian and Ubuntu: `apt install python{_VERSION}-venv`)"
    f" or name another Python with PYTHON=/path/to/python3.12, {_AGAIN}"
)


def _pip(*arguments: str, count: int = 0) -> None:
    """Run pip install; `count` packages are expected, for the progress line on a terminal."""
    # Not compiled: most of what the tools bring is never imported, and the rest is compiled when it is.
    options = ("--progress-bar", "off", "--retries", "3", "--no-compile")
    command = [str(VENV_PYTHON), "-I", "-m", "pip", "install", *options, *arguments]
    pip = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=_environment()
    )
    lines = []
    try:
        for line in pip.stdout or ():
            lines.append(line)
            _progress(line, sum(one.startswith("Collecting ") for one in lines), count)
    finally:
        _clear_progress()
        if pip.poll() is None and sys.exc_info()[0] is not None:
            pip.terminate()
        pip.wait()
    if pip.returncode:
        raise _failure("".join(lines))


def _environment() -> dict[str, str]:
    """Give this process's environment, without what would make pip or Python look or install elsewhere."""
    elsewhere = {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN"}
    kept = {name: value for name, value in os.environ.items() if name not in elsewhere}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def _failure(output: str, *, otherwise: str = "") -> SetupError:
    """Find the sentence for a failed step. Its output, which may name a private mirror, goes to the log only."""
    try:
        LOG.write_text(output)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            output = "No space left on device"
    for pattern, sentence in _REMEDIES.items():
        if re.search(pattern, output):
            return SetupError(sentence.format(venv=_shown(VENV)))
    return SetupError(otherwise or f"Set-up failed: pip's own words are in {_shown(LOG)}.")


@contextmanager
def _only_one() -> Iterator[None]:
    """One set-up at a time in this checkout; the lock goes with the process, however it ends."""
    with (CACHE / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another set-up of this checkout is running: waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _progress(line: str, collected: int, count: int) -> None:
    if not count or not sys.stderr.isatty():
        return
    if line.startswith("Collecting "):
        text = f"  {collected}/{count} {line.split()[1].partition('==')[0]}"
    elif line.startswith("Installing collected packages"):
        text = "  unpacking …"
    else:
        return
    print(f"\r\033[K{text[:78]}", end="", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _shown(path: Path) -> str:
    """Write the path as the person who typed `make` here would."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main())
    except SetupError as error:
        _say(str(error))
    except KeyboardInterrupt:
        _say("\nSet-up was interrupted and is not complete: run the same command again.")
        sys.exit(130)
    except OSError as error:
        _say(str(_failure(f"Errno {error.errno}", otherwise=f"Set-up failed: {error}.")))
    sys.exit(1)
