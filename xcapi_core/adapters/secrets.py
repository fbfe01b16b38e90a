"""Secrets from Secret Manager, a file or an environment variable."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from xcapi_core.settings.rules import credentials_kind
from xcapi_core.x_api.credential_cache import Secret, SecretUnavailable

if TYPE_CHECKING:
    from xcapi_core.adapters.secret_manager import SecretManager

__all__ = ["Secrets", "prepare"]


def prepare(references: Iterable[str]) -> None:
    """Import what reading these references needs, in the process that the server forks its workers from.

    There it counts to the start and not to the first delivery, and its memory is shared. gRPC itself must not be alive
    at the fork: it wakes with the first channel, in the worker (gRPC, "fork_support.md": use after fork).
    """
    if "secret_manager" in map(credentials_kind, references):
        _secret_manager_class()


class Secrets:
    """Reads `projects/…/versions/…`, `file:PATH` and `env:NAME` references, in a thread of its own."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="secrets")

    async def read(self, reference: str) -> Secret:
        """Return the payload behind a reference. Raises SecretUnavailable with the cause."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, reference)

    def _read(self, reference: str) -> Secret:
        kind, _, rest = reference.partition(":")
        if kind == "env":
            value = self._environ.get(rest)
            if value is None:
                raise SecretUnavailable(f"the environment variable {rest} is not set")
            return Secret(payload=value.encode("utf-8", "surrogateescape"), version=reference)
        if kind == "file":
            try:
                return Secret(payload=Path(rest).read_bytes(), version=reference)
            except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
                raise SecretUnavailable(f"the file could not be read: {type(error).__name__}") from None
        return self._secret_manager.access(reference)

    @cached_property
    def _secret_manager(self) -> "SecretManager":
        return _secret_manager_class()(self._environ)


def _secret_manager_class() -> "type[SecretManager]":
    from xcapi_core.adapters.secret_manager import SecretManager  # noqa: PLC0415 - only who needs it waits for it

    return SecretManager
