"""Secret Manager over gRPC.

Imported only where keys are there: Google's client is a fifth of such a start.
"""

from collections.abc import Mapping
from functools import cached_property

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from xcapi_core.adapters.google_grpc import local_channel, status_name
from xcapi_core.x_api.credential_cache import Secret, SecretUnavailable

__all__ = ["SecretManager", "crc32c", "open_secret_manager"]

# The client's own default goes on for 60 s and would eat a delivery's whole time.
READ_ATTEMPT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0

_REVERSED_POLYNOMIAL = 0x82F63B78

_TRANSIENT = if_exception_type(exceptions.ServiceUnavailable, exceptions.DeadlineExceeded, exceptions.ResourceExhausted)


class SecretManager:
    """Reads versions of secrets; blocks. The connection is made by the first read.

    `SECRET_MANAGER_EMULATOR_HOST` points it at a local server over plain gRPC, by the convention of Google's emulators.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def access(self, name: str) -> Secret:
        """Return what `projects/…/versions/…` holds. Raises SecretUnavailable with the cause."""
        try:
            answer = self._client.access_secret_version(
                name=name,
                retry=Retry(predicate=_TRANSIENT, initial=0.1, maximum=1.0, timeout=READ_TIMEOUT_S),
                timeout=READ_ATTEMPT_TIMEOUT_S,
            )
        except exceptions.RetryError:
            raise SecretUnavailable("Secret Manager did not answer in time") from None
        except exceptions.GoogleAPICallError as error:
            raise SecretUnavailable(f"Secret Manager answered {status_name(error)}") from None
        except (GoogleAuthError, OSError) as error:
            raise SecretUnavailable(f"Secret Manager could not be asked: {type(error).__name__}") from None
        payload = answer.payload
        if "data_crc32c" in payload and crc32c(payload.data) != payload.data_crc32c:
            raise SecretUnavailable("the payload that Secret Manager sent does not match its checksum")
        return Secret(payload=payload.data, version=answer.name)

    @cached_property
    def _client(self) -> SecretManagerServiceClient:
        return open_secret_manager(self._environ)


def open_secret_manager(environ: Mapping[str, str]) -> SecretManagerServiceClient:
    """Return Google's client, pointed at the local server that `SECRET_MANAGER_EMULATOR_HOST` names, if any."""
    host = environ.get("SECRET_MANAGER_EMULATOR_HOST")
    if not host:
        return SecretManagerServiceClient()
    return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=local_channel(host)))


def crc32c(payload: bytes) -> int:
    """Return the checksum that Secret Manager sends with every payload: CRC-32C (Castagnoli, RFC 3720 appendix B.4).

    Bit by bit, since a secret has a few hundred bytes, every five minutes.
    """
    crc = 0xFFFFFFFF
    for byte in payload:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_REVERSED_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
