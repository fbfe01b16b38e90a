"""A Secret Manager on loopback that speaks the real gRPC service, with Google's own proto types.

There is no official emulator. This one answers what clients of secret values call: `AccessSecretVersion`,
`AddSecretVersion` and `GetSecretVersion`, with Secret Manager's status codes and limits. Nothing is authenticated.
"""

import re
import threading
import time
from collections.abc import Callable

from google.cloud.secretmanager_v1.types import (
    AccessSecretVersionRequest,
    AccessSecretVersionResponse,
    AddSecretVersionRequest,
    GetSecretVersionRequest,
    SecretPayload,
    SecretVersion,
)

from xcapi_core.sandbox.services.crc32c import crc32c
from xcapi_core.sandbox.services.grpc_server import GrpcMethod, GrpcRefusal, LocalGrpcService

__all__ = ["LocalSecretManager"]

_SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
_MAX_PAYLOAD_BYTES = 65_536  # Secret Manager: "Quotas and limits", content limits
_SECRET_NAME = re.compile(r"projects/[^/]+/secrets/[\w-]{1,255}")
_VERSION_NAME = re.compile(r"(?P<secret>projects/[^/]+/secrets/[\w-]{1,255})/versions/(?P<version>latest|[1-9]\d*)")


class LocalSecretManager(LocalGrpcService):
    """A context manager: while it is open, clients reach it at `address` (SECRET_MANAGER_EMULATOR_HOST).

    Secrets are named in full, `projects/P/secrets/S`. Versions count from 1 and `latest` is the newest.
    """

    def __init__(
        self, payloads: dict[str, list[bytes]] | None = None, *, guard: Callable[[str], None] = lambda _: None
    ) -> None:
        """Hold `payloads`, by secret, oldest first; several servers may share them.

        `guard` is asked for every payload, with the secret's name, and raises GrpcRefusal where the caller may not
        have it: all who know this server's address are one caller.
        """
        super().__init__(
            {
                _SERVICE: {
                    "AccessSecretVersion": GrpcMethod(
                        AccessSecretVersionRequest, AccessSecretVersionResponse, self._access
                    ),
                    "AddSecretVersion": GrpcMethod(AddSecretVersionRequest, SecretVersion, self._add),
                    "GetSecretVersion": GrpcMethod(GetSecretVersionRequest, SecretVersion, self._get),
                }
            }
        )
        self._lock = threading.Lock()
        self._payloads: dict[str, list[bytes]] = {} if payloads is None else payloads
        self._guard = guard
        self._access_calls = 0
        self._down = False
        self._delay_s = 0.0

    @property
    def access_calls(self) -> int:
        """How often a payload was asked for, refused calls included."""
        return self._access_calls

    def put(self, secret: str, payload: bytes) -> str:
        """Add a version to `secret`, which is made if there is none, and return the version's full name."""
        if not _SECRET_NAME.fullmatch(secret):
            raise ValueError(f"a secret is named projects/PROJECT/secrets/SECRET, not {secret!r}")
        if len(payload) > _MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload has at most {_MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
        with self._lock:
            versions = self._payloads.setdefault(secret, [])
            versions.append(payload)
            return f"{secret}/versions/{len(versions)}"

    def set_down(self, *, down: bool) -> None:
        """While down, every call is answered UNAVAILABLE."""
        self._down = down

    def set_delay(self, delay_s: float) -> None:
        """Let every call take `delay_s` longer."""
        self._delay_s = delay_s

    def _access(self, request: AccessSecretVersionRequest) -> AccessSecretVersionResponse:
        with self._lock:
            self._access_calls += 1
        self._suffer()
        if parts := _VERSION_NAME.fullmatch(request.name):
            self._guard(parts["secret"])
        name, payload = self._resolve(request.name)
        return AccessSecretVersionResponse(name=name, payload=SecretPayload(data=payload, data_crc32c=crc32c(payload)))

    def _get(self, request: GetSecretVersionRequest) -> SecretVersion:
        self._suffer()
        name, _ = self._resolve(request.name)
        return SecretVersion(name=name, state=SecretVersion.State.ENABLED)

    def _add(self, request: AddSecretVersionRequest) -> SecretVersion:
        self._suffer()
        with self._lock:
            known = request.parent in self._payloads
        if not known:
            raise GrpcRefusal("NOT_FOUND", f"Secret [{request.parent}] not found.")
        if len(request.payload.data) > _MAX_PAYLOAD_BYTES:
            raise GrpcRefusal("INVALID_ARGUMENT", f"The payload exceeds {_MAX_PAYLOAD_BYTES} bytes.")
        name = self.put(request.parent, request.payload.data)
        return SecretVersion(name=name, state=SecretVersion.State.ENABLED)

    def _resolve(self, name: str) -> tuple[str, bytes]:
        parts = _VERSION_NAME.fullmatch(name)
        if parts is None:
            raise GrpcRefusal("INVALID_ARGUMENT", "The name is not that of a secret version.")
        secret = parts["secret"]
        with self._lock:
            versions = self._payloads.get(secret, [])
            number = len(versions) if parts["version"] == "latest" else int(parts["version"])
            if not versions:
                raise GrpcRefusal("NOT_FOUND", f"Secret [{secret}] not found or has no versions.")
            if number > len(versions):
                raise GrpcRefusal("NOT_FOUND", f"Secret Version [{name}] not found.")
            return f"{secret}/versions/{number}", versions[number - 1]

    def _suffer(self) -> None:
        if self._delay_s:
            time.sleep(self._delay_s)
        if self._down:
            raise GrpcRefusal("UNAVAILABLE", "The service is currently unavailable.")
