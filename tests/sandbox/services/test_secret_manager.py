"""LocalSecretManager, asked by Google's own client."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from google.cloud.secretmanager_v1.types import SecretPayload

from xcapi_core.sandbox.services.crc32c import crc32c
from xcapi_core.sandbox.services.grpc_server import GrpcRefusal, insecure_channel
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1.types import AccessSecretVersionResponse

SECRET = "projects/demo-project/secrets/x-ads-keys"


@pytest.fixture
def service() -> Iterator[LocalSecretManager]:
    with LocalSecretManager() as running:
        yield running


@pytest.fixture
def client(service: LocalSecretManager) -> SecretManagerServiceClient:
    channel = insecure_channel(service.address)
    return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))


def access(client: SecretManagerServiceClient, version: str) -> "AccessSecretVersionResponse":
    return client.access_secret_version(name=f"{SECRET}/versions/{version}", retry=None, timeout=60)


def test_latest_is_the_newest_version_and_the_answer_names_it(
    service: LocalSecretManager, client: SecretManagerServiceClient
) -> None:
    service.put(SECRET, b"old")
    service.put(SECRET, b"new")
    answer = access(client, "latest")
    assert (answer.name, answer.payload.data) == (f"{SECRET}/versions/2", b"new")
    assert access(client, "1").payload.data == b"old"
    assert service.access_calls == 2


def test_payload_comes_with_its_checksum(service: LocalSecretManager, client: SecretManagerServiceClient) -> None:
    service.put(SECRET, b"123456789")
    assert access(client, "latest").payload.data_crc32c == 0xE3069283  # the check value of CRC-32C's definition


@pytest.mark.parametrize(
    ("payload", "checksum"),
    [(bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E), (b"", 0)],
)
def test_crc32c_gives_the_vectors_of_rfc_3720(payload: bytes, checksum: int) -> None:
    assert crc32c(payload) == checksum


def test_unknown_secret_and_unknown_version_are_not_found(
    service: LocalSecretManager, client: SecretManagerServiceClient
) -> None:
    with pytest.raises(exceptions.NotFound):
        access(client, "latest")
    service.put(SECRET, b"one")
    with pytest.raises(exceptions.NotFound):
        access(client, "2")


def test_malformed_version_name_is_an_invalid_argument(client: SecretManagerServiceClient) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        access(client, "newest")


def test_down_service_is_unavailable_until_it_is_back(
    service: LocalSecretManager, client: SecretManagerServiceClient
) -> None:
    service.put(SECRET, b"keys")
    service.set_down(down=True)
    with pytest.raises(exceptions.ServiceUnavailable):
        access(client, "latest")
    service.set_down(down=False)
    assert access(client, "latest").payload.data == b"keys"


def test_slow_service_runs_into_the_clients_deadline(
    service: LocalSecretManager, client: SecretManagerServiceClient
) -> None:
    service.put(SECRET, b"keys")
    service.set_delay(2)
    with pytest.raises(exceptions.DeadlineExceeded):
        client.access_secret_version(name=f"{SECRET}/versions/latest", retry=None, timeout=0.2)


def test_client_can_add_versions_to_an_existing_secret_only(
    service: LocalSecretManager, client: SecretManagerServiceClient
) -> None:
    with pytest.raises(exceptions.NotFound):
        client.add_secret_version(parent=SECRET, payload=SecretPayload(data=b"two"))
    service.put(SECRET, b"one")
    assert client.add_secret_version(parent=SECRET, payload=SecretPayload(data=b"two")).name == f"{SECRET}/versions/2"
    assert access(client, "latest").payload.data == b"two"


def test_payload_over_64_kib_is_refused(service: LocalSecretManager, client: SecretManagerServiceClient) -> None:
    service.put(SECRET, b"one")
    with pytest.raises(exceptions.InvalidArgument):
        client.add_secret_version(parent=SECRET, payload=SecretPayload(data=b"x" * 65_537))
    with pytest.raises(ValueError, match="65536"):
        service.put(SECRET, b"x" * 65_537)


def test_a_guard_refuses_before_a_payload_is_looked_for_and_servers_can_share_payloads() -> None:
    def refuse(secret: str) -> None:
        raise GrpcRefusal("PERMISSION_DENIED", f"not for you: {secret}")

    payloads: dict[str, list[bytes]] = {}
    with LocalSecretManager(payloads) as open_one, LocalSecretManager(payloads, guard=refuse) as guarded:
        open_one.put(SECRET, b"payload")
        for server, version, outcome in ((open_one, "1", b"payload"), (guarded, "1", None), (guarded, "9", None)):
            transport = SecretManagerServiceGrpcTransport(channel=insecure_channel(server.address))
            client = SecretManagerServiceClient(transport=transport)
            if outcome is None:
                with pytest.raises(exceptions.PermissionDenied, match="not for you"):
                    access(client, version)
            else:
                assert access(client, version).payload.data == outcome
