"""What tests need of this machine, and what happens where it is not there."""

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["emulator", "unavailable"]


def unavailable(reason: str) -> NoReturn:
    """Skip with the reason; fail instead where everything has to be there (CI=true or XCAPI_REQUIRE_ALL=1)."""
    if os.environ.get("CI") == "true" or os.environ.get("XCAPI_REQUIRE_ALL") == "1":
        pytest.fail(f"needed on this machine, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def emulator() -> Iterator[PubsubEmulator]:
    """Google's Pub/Sub emulator, one for the session: tests use names of their own."""
    if reason := PubsubEmulator.available():
        unavailable(f"the Pub/Sub emulator cannot run: {reason}")
    with PubsubEmulator() as running:
        yield running
