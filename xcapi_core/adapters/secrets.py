"""Secrets from Secret Manager, a file or an environment variable."""

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from xcapi_core.keyring import Secret, SecretUnavailable

if TYPE_CHECKING:
    from google.cloud.secretmanager import SecretManagerServiceClient

__all__ = ["Secrets"]

# The client's own default goes on for 60 s and would eat a delivery's whole time.
ATTEMPT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0


class Secrets:
    """Reads `projects/…/versions/…`, `file:PATH` and `env:NAME` references, in a thread of its own.

    `SECRET_MANAGER_EMULATOR_HOST` points the client at a local server over plain gRPC, by the convention of Google's
    emulators.
    """

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
        return self._access(reference)

    def _access(self, name: str) -> Secret:
        # Imported on first use, in the worker: gRPC must not be alive when the server forks.
        from google.api_core import exceptions  # noqa: PLC0415
        from google.api_core.retry import Retry, if_exception_type  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        transient = if_exception_type(
            exceptions.ServiceUnavailable, exceptions.DeadlineExceeded, exceptions.ResourceExhausted
        )
        try:
            answer = self._client.access_secret_version(
                name=name,
                retry=Retry(predicate=transient, initial=0.1, maximum=1.0, timeout=READ_TIMEOUT_S),
                timeout=ATTEMPT_TIMEOUT_S,
            )
        except exceptions.RetryError:
            raise SecretUnavailable("Secret Manager did not answer in time") from None
        except exceptions.GoogleAPICallError as error:
            raise SecretUnavailable(f"Secret Manager answered {_status_name(error)}") from None
        except (GoogleAuthError, OSError) as error:
            raise SecretUnavailable(f"Secret Manager could not be asked: {type(error).__name__}") from None
        return Secret(payload=answer.payload.data, version=answer.name)

    @cached_property
    def _client(self) -> "SecretManagerServiceClient":
        from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: PLC0415

        host = self._environ.get("SECRET_MANAGER_EMULATOR_HOST")
        if not host:
            return SecretManagerServiceClient()
        import grpc  # noqa: PLC0415
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (  # noqa: PLC0415
            SecretManagerServiceGrpcTransport,
        )

        # A proxy of the environment has no business between this process and a local server.
        channel = grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)])
        return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))


def _status_name(error: Exception) -> str:
    """Return "NOT_FOUND" and the like; the error's own text is not ours to print."""
    code = getattr(error, "grpc_status_code", None)
    return code.name if code is not None else type(error).__name__
