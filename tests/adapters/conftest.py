"""What the adapters' tests share."""

from collections.abc import AsyncIterator

import pytest

from xcapi_core.adapters.x_session import XSession


@pytest.fixture
async def session() -> AsyncIterator[XSession]:
    running = XSession(max_in_flight=8)
    yield running
    running.abort()
