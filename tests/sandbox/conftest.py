"""One sandbox for the tests that only talk to it: starting one costs a tenth of a second."""

from collections.abc import Iterator

import pytest

from xcapi_core.sandbox.server import SandboxServer


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def sandbox(running_sandbox: SandboxServer) -> Iterator[SandboxServer]:
    """Give the running sandbox as if it had just been started."""
    original_keys = running_sandbox.engine.keys
    yield running_sandbox
    running_sandbox.reset()
    running_sandbox.clear_faults()
    running_sandbox.engine.keys = original_keys
