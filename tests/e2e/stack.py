"""One running whole (X, Secret Manager, Pub/Sub, the function), shared by the tests of a module."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.deployment import (
    DEAD_LETTER_TOPIC,
    OAUTH_SECRET,
    PROJECT,
    TOKEN_SECRET,
    deployed_configuration,
    oauth_payload,
    token_payload,
)
from xcapi_core.sandbox.config import SandboxConfig
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.pubsub import DeadLetter, DeliveryPath
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["DEAD_LETTER_TOPIC", "Stack", "configuration", "oauth_payload", "running", "token_payload", "wait_for"]

_PATH = DeliveryPath.named(PROJECT, "conversions", "http://127.0.0.1:9/")


def configuration(x_url: str, **overrides: object) -> dict[str, object]:
    """Make a deployment's configuration; keywords override."""
    return deployed_configuration(x_url, **{"request_timeout_s": 10, "settle_timeout_s": 40, **overrides})


@dataclass(frozen=True, slots=True)
class Stack:
    """The parts, and what tests ask of them. `sandbox` stands idle where another server is in X's place."""

    function: FunctionProcess
    sandbox: SandboxServer
    secrets: LocalSecretManager
    pubsub: EmbeddedPubsub

    @property
    def url(self) -> str:
        """The push endpoint."""
        return self.function.url

    def dead_letters(self, count: int = 0, *, timeout_s: float = 60.0) -> list[DeadLetter]:
        """Return all dead letters that wait, after at least `count` came or the time is over."""
        found: list[DeadLetter] = []
        deadline = time.monotonic() + timeout_s
        while True:
            wait_s = max(0.0, deadline - time.monotonic()) if len(found) < count else 0.0
            found += self.pubsub.pull(_PATH.dead_letter_subscription, timeout_s=wait_s)
            if len(found) >= count or not wait_s:
                return found

    def accepted_ids(self, pixel_id: str | None = None) -> list[str]:
        """Return the conversion ids that X accepted, in order, repetitions included."""
        return [record["conversion_id"] for record in self.sandbox.accepted(pixel_id)]

    def start_over(self) -> None:
        """Lift every fault and forget what was seen; the function keeps its state."""
        self.sandbox.clear_faults()
        self.sandbox.reset()
        self.pubsub.set_down(down=False)
        self.secrets.set_down(down=False)
        self.secrets.set_delay(0)
        self.dead_letters()

    def events_logged(self, name: str, since: int = 0, *, count: int = 1) -> list[dict[str, object]]:
        """Return the log entries of an event from line `since` on, once there are `count`; TimeoutError otherwise.

        An answer overtakes the lines that were written before it: those come through a pipe and another thread.
        """
        found: list[dict[str, object]] = []

        def enough() -> bool:
            entries = (json.loads(line) for line in self.function.lines[since:])
            found[:] = [entry for entry in entries if entry.get("event") == name]
            return len(found) >= count

        wait_for(enough)
        return found


@contextmanager
def running(
    venv: FunctionVenv,
    *,
    sandbox: SandboxConfig | None = None,
    x_url: str | None = None,
    extra_environment: Mapping[str, str] | None = None,
    source: Path | None = None,
    prepare: Callable[[LocalSecretManager], None] = lambda _: None,
    **overrides: object,
) -> Iterator[Stack]:
    """Run everything; `x_url` puts another server in the sandbox's place, keywords go into the configuration."""
    with SandboxServer(sandbox) as x, LocalSecretManager() as secrets, EmbeddedPubsub() as pubsub:
        secrets.put(OAUTH_SECRET, oauth_payload())
        secrets.put(TOKEN_SECRET, token_payload())
        prepare(secrets)
        pubsub.provision(_PATH)
        with FunctionProcess(
            venv,
            configuration(x_url or x.url, **overrides),
            source=source or repository_root(),
            pubsub_address=pubsub.address,
            secret_manager_address=secrets.address,
            project=PROJECT,
            extra_environment=extra_environment,
        ) as function:
            try:
                yield Stack(function, x, secrets, pubsub)
            finally:
                # At once: how it stops when it is told to is test_shutdown's business.
                function.kill()


def wait_for(condition: Callable[[], object], *, timeout_s: float = 60.0) -> None:
    """Wait until `condition` holds; TimeoutError when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s")
        time.sleep(0.02)
