"""The repository on this machine: where the function's own files are."""

from pathlib import Path

from xcapi_core.sandbox.services.errors import LocalServiceError

__all__ = ["repository_root"]

_PACKAGE_PARENT = Path(__file__).resolve().parents[3]


def repository_root() -> Path:
    """Return the folder of `main.py` and `requirements.txt`; raise LocalServiceError outside a checkout."""
    for name in ("main.py", "requirements.txt"):
        if not (_PACKAGE_PARENT / name).is_file():
            raise LocalServiceError(
                f"There is no {name} beside the xcapi_core package: run this from a checkout of the repository."
            )
    return _PACKAGE_PARENT
