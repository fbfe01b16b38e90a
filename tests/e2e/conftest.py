"""The deployed path on this machine: the real function, real gRPC services, the sandbox in X's place."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.deployment import (
    OAUTH_SECRET,
    PROJECT,
    TOKEN_SECRET,
    deployed_configuration,
    oauth_payload,
    token_payload,
)
from tests.services import emulator, unavailable
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.pubsub import DeliveryPath
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["NewConfig", "NewPath", "StartFunction", "emulator"]


_numbers = itertools.count(1)

NewConfig = Callable[..., dict[str, object]]
NewPath = Callable[..., DeliveryPath]


class StartFunction(Protocol):
    """Starts the real function; it is stopped when the test ends."""

    def __call__(
        self,
        config: Mapping[str, object],
        *,
        pubsub_address: str | None = None,
        secret_manager_address: str | None = None,
        extra_environment: Mapping[str, str] | None = None,
    ) -> FunctionProcess: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder: `pytest -m "not e2e"` leaves it out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def function_venv() -> FunctionVenv:
    """Give what the deployed function has installed: requirements.txt alone. The first time takes 10 to 60 s."""
    root = repository_root()
    try:
        return FunctionVenv.prepare(root / "requirements.txt", root / ".cache")
    except LocalServiceError as error:
        unavailable(str(error))


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """Give a fresh X."""
    with SandboxServer() as running:
        yield running


@pytest.fixture
def secret_manager() -> Iterator[LocalSecretManager]:
    """Give a Secret Manager that holds the keys the sandbox accepts."""
    with LocalSecretManager() as running:
        running.put(OAUTH_SECRET, oauth_payload())
        running.put(TOKEN_SECRET, token_payload())
        yield running


@pytest.fixture
def embedded_pubsub() -> Iterator[EmbeddedPubsub]:
    """Give a Pub/Sub with deliveryAttempt, many pushes at a time and the real limits: what the emulator lacks."""
    with EmbeddedPubsub() as running:
        yield running


@pytest.fixture
def new_path() -> NewPath:
    """Make topics and subscriptions with names of their own: the emulator lives as long as the session.

    `new_path(push_endpoint, ack_deadline_s=75, min_backoff_s=10, max_backoff_s=600, max_delivery_attempts=100)`;
    hand the result to `provision` of the emulator or the embedded Pub/Sub.
    """

    def make(push_endpoint: str = "http://127.0.0.1:9/", **settings: int) -> DeliveryPath:
        return DeliveryPath.named(PROJECT, f"conversions-{os.getpid()}-{next(_numbers)}", push_endpoint, **settings)

    return make


@pytest.fixture
def new_config(sandbox: SandboxServer) -> NewConfig:
    """Make a configuration like a deployment's: both kinds of keys, the sandbox as X; keywords override."""

    def make(**overrides: object) -> dict[str, object]:
        return deployed_configuration(sandbox.url, **overrides)

    return make


@pytest.fixture
def start_function(function_venv: FunctionVenv) -> Iterator[StartFunction]:
    """Start the function under the Functions Framework, as often as a test likes."""
    with ExitStack() as running:

        def start(
            config: Mapping[str, object],
            *,
            pubsub_address: str | None = None,
            secret_manager_address: str | None = None,
            extra_environment: Mapping[str, str] | None = None,
        ) -> FunctionProcess:
            process = FunctionProcess(
                function_venv,
                config,
                source=repository_root(),
                pubsub_address=pubsub_address,
                secret_manager_address=secret_manager_address,
                project=PROJECT,
                extra_environment=extra_environment,
            )
            return running.enter_context(process)

        yield start
