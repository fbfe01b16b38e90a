"""One mutant against its tests, in a forked process: no file is changed, and nothing has to be imported twice."""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import ModuleType

import hypothesis
import msgspec
import phonenumbers
import pytest

__all__ = ["End", "start", "verdict"]

# Imported here so that each child has them: the parent must not import what is mutated.
_PRELOADED = (hypothesis, msgspec, phonenumbers)
_STILLBORN = 90
_PYTEST_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "--timeout=60", "-W", "ignore")


class End(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    STILLBORN = "stillborn"  # the module does not even load


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):  # type: ignore[misc]  # typeshed's own clash
    """Gives one module another source."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self._module, self._path, self._source = module, path, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname != self._module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def get_filename(self, fullname: str) -> str:
        del fullname
        return f"{self._path}.mutant"  # so that no byte code is kept for it

    def get_data(self, path: bytes | str | os.PathLike[str]) -> bytes:
        if str(path).endswith(".mutant"):
            return self._source.encode()
        raise OSError


def start(module: str, path: Path, source: str, tests: Sequence[str], *, limit_s: int) -> int:
    """Run `tests` with `source` in place of a module, in a child process; return its id."""
    child = os.fork()
    if child:
        return child
    code = _STILLBORN
    try:
        code = _run(module, path, source, tests, limit_s)
    finally:
        os._exit(code)


def verdict(status: int) -> End:
    """Read a child's exit status. One that ran into its limit of processor time was killed, too."""
    if os.WIFEXITED(status):
        return {0: End.SURVIVED, _STILLBORN: End.STILLBORN}.get(os.WEXITSTATUS(status), End.KILLED)
    return End.KILLED


def _run(module: str, path: Path, source: str, tests: Sequence[str], limit_s: int) -> int:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    sys.path_importer_cache.clear()
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 1))
    # What waits for ever uses no processor time.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(limit_s * 10)
    sys.meta_path.insert(0, _Finder(module, path, source))
    try:
        importlib.import_module(module)
    except BaseException:  # noqa: BLE001 - whatever it is, no test had a say in it
        return _STILLBORN
    with contextlib.suppress(SystemExit):
        return int(pytest.main([*_PYTEST_OPTIONS, *tests]))
    return 1
