"""Every coroutine of these tests runs in virtual time: on a loaded machine a pause is as long as on any other."""

import asyncio
from collections.abc import Callable

from tests.virtual_time import virtual_loops


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give each test a loop of its own."""
    return virtual_loops()
