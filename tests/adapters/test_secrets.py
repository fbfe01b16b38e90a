"""Secrets over real gRPC, from files and from the environment; what fails says why, and nothing secret."""

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from xcapi_core.adapters import secret_manager as adapter
from xcapi_core.adapters.secret_manager import crc32c
from xcapi_core.adapters.secrets import Secrets
from xcapi_core.sandbox.services import secret_manager as local
from xcapi_core.sandbox.services.ports import free_port
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager
from xcapi_core.x_api.credential_cache import SecretUnavailable

SECRET = "projects/p/secrets/x-ads-o8z6j"
LATEST = f"{SECRET}/versions/latest"
PAYLOAD = b'{"pixel_token":"hunter2"}'
# A hang guard, no expectation.
PATIENCE_S = 60.0


@pytest.fixture
def service() -> Iterator[LocalSecretManager]:
    with LocalSecretManager() as running:
        yield running


@pytest.fixture
def secrets(service: LocalSecretManager) -> Secrets:
    return Secrets({"SECRET_MANAGER_EMULATOR_HOST": service.address})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "READ_TIMEOUT_S", 0.6)
    monkeypatch.setattr(adapter, "READ_ATTEMPT_TIMEOUT_S", 0.2)


async def why_unavailable(secrets: Secrets, reference: str) -> str:
    with pytest.raises(SecretUnavailable) as caught:
        await asyncio.wait_for(secrets.read(reference), PATIENCE_S)
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert caught.value.__cause__ is None, "the client's own exception stays out of the traceback"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


# --- Secret Manager ---


async def test_payload_that_does_not_match_its_checksum_is_not_taken_for_the_secret(
    service: LocalSecretManager, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.put(SECRET, PAYLOAD)
    monkeypatch.setattr(local, "crc32c", len)
    assert "checksum" in await why_unavailable(secrets, LATEST)


@pytest.mark.parametrize(
    ("payload", "checksum"),
    # RFC 3720, B.4: 32 bytes of zeros, of ones, ascending; and the check value of CRC-32C's definition.
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_checksum_is_crc_32c(payload: bytes, checksum: int) -> None:
    assert crc32c(payload) == checksum


async def test_latest_resolves_to_the_newest_version_which_is_named(
    service: LocalSecretManager, secrets: Secrets
) -> None:
    service.put(SECRET, b"old")
    service.put(SECRET, PAYLOAD)
    secret = await secrets.read(LATEST)
    assert secret.payload == PAYLOAD
    assert secret.version == f"{SECRET}/versions/2"


async def test_a_named_version_is_read_although_it_is_not_the_newest(
    service: LocalSecretManager, secrets: Secrets
) -> None:
    service.put(SECRET, b"old")
    service.put(SECRET, b"new")
    assert (await secrets.read(f"{SECRET}/versions/1")).payload == b"old"


async def test_payload_does_not_show_in_the_secret_s_repr(service: LocalSecretManager, secrets: Secrets) -> None:
    service.put(SECRET, PAYLOAD)
    assert "hunter2" not in repr(await secrets.read(LATEST))


async def test_unknown_secret_is_unavailable_at_once_and_says_not_found(
    service: LocalSecretManager, secrets: Secrets
) -> None:
    assert await why_unavailable(secrets, LATEST) == "Secret Manager answered NOT_FOUND"
    assert service.access_calls == 1


async def test_malformed_name_is_refused_and_not_asked_for_again(service: LocalSecretManager, secrets: Secrets) -> None:
    service.put(SECRET, PAYLOAD)
    assert await why_unavailable(secrets, f"{SECRET}/versions/newest") == "Secret Manager answered INVALID_ARGUMENT"
    assert service.access_calls == 1


async def test_read_outlasts_a_short_outage(service: LocalSecretManager, secrets: Secrets) -> None:
    service.put(SECRET, PAYLOAD)
    service.set_down(down=True)
    reading = asyncio.create_task(secrets.read(LATEST))
    while not service.access_calls:  # noqa: ASYNC110 - the server counts in threads of its own
        await asyncio.sleep(0.01)
    service.set_down(down=False)
    assert (await asyncio.wait_for(reading, PATIENCE_S)).payload == PAYLOAD
    assert service.access_calls >= 2


@pytest.mark.usefixtures("impatient")
async def test_outage_that_lasts_ends_the_read(
    service: LocalSecretManager, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.put(SECRET, PAYLOAD)
    service.set_down(down=True)
    before = calls = 0
    while calls - before < 2:  # it tries more than once, where the machine gives it the time
        before = service.access_calls
        assert await why_unavailable(secrets, LATEST) == "Secret Manager did not answer in time"
        calls = service.access_calls
        monkeypatch.setattr(adapter, "READ_TIMEOUT_S", 2 * adapter.READ_TIMEOUT_S)


@pytest.mark.usefixtures("impatient")
async def test_service_that_hangs_ends_the_read(service: LocalSecretManager, secrets: Secrets) -> None:
    service.put(SECRET, PAYLOAD)
    service.set_delay(2)
    assert await why_unavailable(secrets, LATEST) == "Secret Manager did not answer in time"


@pytest.mark.usefixtures("impatient")
async def test_service_that_is_not_there_ends_the_read() -> None:
    secrets = Secrets({"SECRET_MANAGER_EMULATOR_HOST": f"127.0.0.1:{free_port()}"})
    assert await why_unavailable(secrets, LATEST) == "Secret Manager did not answer in time"


def test_a_read_fits_into_a_delivery() -> None:
    # The client's default goes on for 60 s; a delivery has 50, and a request to X wants 10 of them.
    assert adapter.READ_ATTEMPT_TIMEOUT_S < adapter.READ_TIMEOUT_S <= 30


async def test_service_that_is_back_is_asked_again_over_the_same_client(
    service: LocalSecretManager, secrets: Secrets
) -> None:
    assert await why_unavailable(secrets, LATEST) == "Secret Manager answered NOT_FOUND"
    service.put(SECRET, PAYLOAD)
    assert (await secrets.read(LATEST)).payload == PAYLOAD


async def test_secrets_of_several_pixels_are_read_at_the_same_time(
    service: LocalSecretManager, secrets: Secrets
) -> None:
    names = [f"projects/p/secrets/pixel-{number}" for number in range(10)]
    for name in names:
        service.put(name, name.encode())
    read = await asyncio.gather(*(secrets.read(f"{name}/versions/latest") for name in names))
    assert [secret.payload.decode() for secret in read] == names


@pytest.mark.usefixtures("dead_proxy")
async def test_proxy_of_the_environment_is_not_used_for_a_local_server(service: LocalSecretManager) -> None:
    service.put(SECRET, PAYLOAD)
    secrets = Secrets({"SECRET_MANAGER_EMULATOR_HOST": service.address})
    assert (await secrets.read(LATEST)).payload == PAYLOAD


# What a process has that prepared for these references; the kernel knows of threads that are none of Python's.
_PREPARE = """
import sys
from pathlib import Path
from xcapi_core.adapters.secrets import prepare
prepare(sys.argv[1:])
tasks = Path("/proc/self/task")
print("grpc" in sys.modules, len(list(tasks.iterdir())) if tasks.exists() else 1)
"""


@pytest.mark.parametrize(
    ("references", "has"),
    [
        (["env:X_KEYS", LATEST], "True 1"),
        (["env:X_KEYS", "file:/keys.json"], "False 1"),
    ],
)
def test_the_client_is_there_before_the_fork_where_it_is_needed_and_grpc_sleeps(
    references: list[str], has: str
) -> None:
    shown = subprocess.run([sys.executable, "-c", _PREPARE, *references], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == has


# --- files and variables ---


async def test_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    reference = f"file:{path}"
    for payload in (b"old", PAYLOAD):
        path.write_bytes(payload)
        secret = await Secrets({}).read(reference)
        assert (secret.payload, secret.version) == (payload, reference)


@pytest.mark.parametrize("name", ["missing.json", ".", "a\0b"])
async def test_file_that_cannot_be_read_is_unavailable(tmp_path: Path, name: str) -> None:
    assert "the file could not be read" in await why_unavailable(Secrets({}), f"file:{tmp_path / name}")


async def test_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_KEYS", PAYLOAD.decode())
    secret = await Secrets().read("env:X_KEYS")
    assert (secret.payload, secret.version) == (PAYLOAD, "env:X_KEYS")


async def test_variable_keeps_bytes_that_are_no_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_KEYS", b"\xff\xfe".decode("utf-8", "surrogateescape"))
    assert (await Secrets().read("env:X_KEYS")).payload == b"\xff\xfe"


async def test_variable_that_is_not_set_is_unavailable() -> None:
    assert await why_unavailable(Secrets({}), "env:X_KEYS") == "the environment variable X_KEYS is not set"
