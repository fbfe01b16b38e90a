"""One Chromium for the console's tests, and a sandbox of its own for each."""

from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.sandbox.console.chromium import browser, missing, resize, severe
from tests.services import unavailable
from xcapi_core.sandbox.server import SandboxServer


@pytest.fixture(scope="session")
def running_browser() -> Iterator[webdriver.Chrome]:
    if lacking := missing():
        unavailable(lacking)
    with browser() as driver:
        yield driver


@pytest.fixture
def chromium(running_browser: webdriver.Chrome) -> webdriver.Chrome:
    """Give the browser with its usual window and nothing in its log."""
    resize(running_browser, 1280, 900)
    severe(running_browser)
    return running_browser


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running
