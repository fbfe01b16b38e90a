"""What `xcapi demo` and `xcapi dev` start alike, with a sentence for each way to fail."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from xcapi_core.sandbox.services.checkout import function_files
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_venv import FunctionVenv, InstallStep

__all__ = ["LocalFunction", "prepare_function", "start"]

_Component = TypeVar("_Component")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFunction:
    """The function, ready to be started: an environment with its packages, and the folder of main.py."""

    venv: FunctionVenv
    source: Path


def prepare_function(on_install: Callable[[InstallStep], None]) -> LocalFunction:
    """Make the function's environment where there is none yet. Raises LocalServiceError."""
    files = function_files()
    venv = FunctionVenv.prepare(files.requirements, files.cache, on_step=on_install)
    return LocalFunction(venv=venv, source=files.source)


def start(running: ExitStack, component: AbstractContextManager[_Component], name: str) -> _Component:
    """Start a component that has no sentence of its own for what can go wrong."""
    try:
        return running.enter_context(component)
    except (OSError, RuntimeError) as error:
        raise LocalServiceError(f"{name} could not be started on this machine: {error}.") from error
