"""What holds for the whole suite."""

import gc
import logging
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# The same inputs each time, and as long as a machine takes: what passed on one passes on another. `make fuzz` explores.
hypothesis.settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

# A job that a shell started in the background ignores SIGINT, and so do all its children: the tests that press Ctrl-C
# on a process would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How output looks, and when it comes, is what the tests are about: one terminal's or machine's settings, which every
# process that a test starts would inherit, must not decide it. A test that is about one of these sets it.
for name in ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"

# Here everything is on loopback, where a proxy between this machine and the network has no part.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))

# The user's own deployment is none of a test's business.
for name in ("XCAPI_CONFIG", "XCAPI_CONFIG_FILE", "PUBSUB_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
    os.environ.pop(name, None)

# Files whose tests wait for long, the longest first: the processes of `make test` take a file each, in this order, and
# the many short ones fill what is left.
_FIRST = (
    "rollout/test_convergence.py",
    "rollout/test_apply.py",
    "rollout/test_settings_rules.py",
    "rollout/test_module.py",
    "test_bootstrap.py",
    "e2e/test_demo.py",
    "soak/test_soak.py",
    "cli/dlq/test_kills.py",
    "e2e",
    "rollout",
    "sandbox/services",
    "sandbox/console",
)


class _LeftBehind(logging.Handler):
    """What asyncio says of tasks and failures that nobody waited for."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if re.search("destroyed but it is pending|never retrieved", text := record.getMessage()):
            self.heard.append(text)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fail where a test left a task on its loop: it is collected, and logs, in the midst of another test.

    Up to 3.12 that breaks whoever parses Python at that moment, since a traceback's formatting parses as well.
    """
    handler = _LeftBehind()
    logging.getLogger("asyncio").addHandler(handler)
    yield
    gc.collect()
    assert not handler.heard


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long; the others keep their order."""
    tests = Path(__file__).parent
    rank = {tests / name: rank for rank, name in enumerate(_FIRST)}

    def rank_of(item: pytest.Item) -> int:
        return min((rank[place] for place in (item.path, *item.path.parents) if place in rank), default=len(rank))

    items.sort(key=rank_of)
