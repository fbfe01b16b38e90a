"""What the adapters' tests share."""

from collections.abc import AsyncIterator

import pytest

from xcapi_core.adapters.x_session import XSession
from xcapi_core.sandbox.services.ports import free_port


@pytest.fixture
async def session() -> AsyncIterator[XSession]:
    running = XSession(max_in_flight=8)
    yield running
    running.abort()


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name a proxy for everything, at which nobody is."""
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
