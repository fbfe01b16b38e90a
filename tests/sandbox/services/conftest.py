"""Pub/Sub on this machine, both ways: each test of the shared behaviour runs on the emulator and on ours."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from tests.services import emulator
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.pubsub import DeliveryPath, LocalPubsub

__all__ = ["embedded", "emulator", "new_path", "pubsub"]

_numbers = itertools.count(1)

PathFactory = Callable[..., DeliveryPath]


@pytest.fixture
def embedded() -> Iterator[EmbeddedPubsub]:
    with EmbeddedPubsub() as running:
        yield running


@pytest.fixture(params=["embedded", "emulator"])
def pubsub(request: pytest.FixtureRequest) -> LocalPubsub:
    running: LocalPubsub = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def new_path() -> PathFactory:
    """Names of their own for every test: the emulator lives as long as the session."""

    def make(push_endpoint: str, **settings: int) -> DeliveryPath:
        return DeliveryPath.named(
            "test-project", f"conversions-{os.getpid()}-{next(_numbers)}", push_endpoint, **settings
        )

    return make
