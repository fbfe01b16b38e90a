"""Every coroutine of these tests runs in virtual time: on a loaded machine a pause is as long as on any other."""

from tests.virtual_time import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
