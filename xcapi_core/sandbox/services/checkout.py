"""Where the function's own files are on this machine: in a checkout, or in an installed package."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from xcapi_core.sandbox.services.errors import LocalServiceError

__all__ = ["FunctionFiles", "function_files", "repository_root"]

_PACKAGE = Path(__file__).resolve().parents[2]
# The wheel has main.py and requirements.txt here.
_PACKED = Path(__file__).resolve().parent / "deployed"
_NAMES = ("main.py", "requirements.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFiles:
    """`source` has main.py and the package, `requirements` is its lock file, `cache` a folder to keep things in."""

    source: Path
    requirements: Path
    cache: Path


def repository_root() -> Path:
    """Return the folder of `main.py` and `requirements.txt`; raise LocalServiceError outside a checkout."""
    root = _PACKAGE.parent
    if not all((root / name).is_file() for name in _NAMES):
        raise LocalServiceError("There is no main.py beside the xcapi_core package: run this from a checkout.")
    return root


def function_files() -> FunctionFiles:
    """Find the function's files: the checkout's, else those that came with the package, put into the user's cache.

    Raises LocalServiceError where there are none, or the cache cannot be written.
    """
    if not all((_PACKED / name).is_file() for name in _NAMES):
        root = repository_root()
        return FunctionFiles(source=root, requirements=root / "requirements.txt", cache=root / ".cache")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xcapi"
    key = hashlib.sha256(bytes(_PACKAGE) + (_PACKED / "main.py").read_bytes()).hexdigest()[:16]
    source = cache / f"function-{key}"
    try:
        source.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_PACKED / "main.py", source / "main.py")
        # The function's environment has no xcapi_core of its own: it sees the package beside main.py, as deployed.
        if not (source / _PACKAGE.name).exists():
            (source / _PACKAGE.name).unlink(missing_ok=True)
            (source / _PACKAGE.name).symlink_to(_PACKAGE)
    except OSError as error:
        raise LocalServiceError(f"{cache} cannot be written: {error.strerror}.") from error
    return FunctionFiles(source=source, requirements=_PACKED / "requirements.txt", cache=cache)
