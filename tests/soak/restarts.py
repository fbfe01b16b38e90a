"""Restarts while one pixel is down: how many events are sent twice, with and without the remainder topic.

Messages of many events, one event of each for a pixel that is down for a while; instances end every few seconds and
come back on their port. Pub/Sub is the embedded one, which pushes at a forwarder that takes turns among the instances.
"""

import asyncio
import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.e2e.deployment import (
    OAUTH_SECRET,
    PROJECT,
    TOKEN_SECRET,
    deployed_configuration,
    oauth_payload,
    token_payload,
)
from tests.loopback_server import LoopbackServer
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.ports import free_port
from xcapi_core.sandbox.services.pubsub import DeliveryPath
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["SCENARIOS", "Outcome", "Scenario", "run_scenario"]

_DOWN_PIXEL = "p9q7k"
_GIVE_UP_AFTER_S = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens; `ends_by` None lets the instances live."""

    name: str
    instances: int = 1
    ends_by: signal.Signals | None = signal.SIGTERM
    has_remainder: bool = True
    messages: int = 20
    events: int = 100
    down_s: float = 22.0
    every_s: float = 5.0


SCENARIOS = (
    Scenario(name="one instance, SIGTERM every 5 s"),
    Scenario(name="two instances, SIGTERM every 5 s", instances=2),
    Scenario(name="two instances, no restart", instances=2, ends_by=None),
    Scenario(name="one instance, kill -9 every 5 s", ends_by=signal.SIGKILL),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it; `doubles` counts each time beyond the first that X took a conversion."""

    published: int
    delivered: int
    doubles: int
    dead_letters: int
    restarts: int
    seconds: float


class _Forwarder(LoopbackServer):
    """Passes connections on to several ports in turn."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__()
        self._ports = ports
        self._turn = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        port = self._ports[self._turn % len(self._ports)]
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, forth), _copy(back, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def _instance(venv: FunctionVenv, config: dict[str, object], port: int, *addresses: str) -> Iterator[FunctionProcess]:
    with FunctionProcess(
        venv,
        config,
        source=repository_root(),
        pubsub_address=addresses[0],
        secret_manager_address=addresses[1],
        project=PROJECT,
        port=port,
    ) as function:
        try:
            yield function
        finally:
            function.kill()


def _event(message: int, index: int) -> dict[str, object]:
    pixel_id = _DOWN_PIXEL if index == 0 else "o8z6j"
    tag = "tw-p9q7k-p9q31" if index == 0 else "tw-o8z6j-o8z21"
    return {
        "pixel_id": pixel_id,
        "event_id": tag,
        "conversion_id": f"c-{message}-{index}",
        "twclid": f"t{message}x{index}",
    }


def run_scenario(venv: FunctionVenv, scenario: Scenario) -> Outcome:
    """Run it until every message is acked. Raises TimeoutError where that takes too long."""
    started = time.monotonic()
    with ExitStack() as running:
        x = running.enter_context(SandboxServer())
        secrets = running.enter_context(LocalSecretManager())
        pubsub = running.enter_context(EmbeddedPubsub())
        secrets.put(OAUTH_SECRET, oauth_payload())
        secrets.put(TOKEN_SECRET, token_payload())
        ports = [free_port() for _ in range(scenario.instances)]
        forwarder = running.enter_context(_Forwarder(ports))
        path = DeliveryPath.named(
            PROJECT, "conversions", f"http://127.0.0.1:{forwarder.port}/", min_backoff_s=1, max_backoff_s=4
        )
        config = deployed_configuration(x.url, dead_letter_topic=path.dead_letter_topic)
        if scenario.has_remainder:
            config["remainder_topic"] = path.remainder().topic
        x.inject({"status": 503, "pixel_id": _DOWN_PIXEL})
        pubsub.provision(path)
        pubsub.provision(path.remainder())
        stacks = [ExitStack() for _ in ports]
        for stack in stacks:
            running.enter_context(stack)
        functions = [
            stack.enter_context(_instance(venv, config, port, pubsub.address, secrets.address))
            for stack, port in zip(stacks, ports, strict=True)
        ]
        began = time.monotonic()
        for number in range(scenario.messages):
            events = [_event(number, index) for index in range(scenario.events)]
            pubsub.publish(path.topic, json.dumps(events).encode())
        restarts, is_down = 0, True
        next_end = began + scenario.every_s
        while pubsub.unacked:
            now = time.monotonic()
            if now - began > _GIVE_UP_AFTER_S:
                raise TimeoutError(f"{pubsub.unacked} messages are not acked")
            if is_down and now - began >= scenario.down_s:
                x.clear_faults()
                is_down = False
            if scenario.ends_by is not None and is_down and now >= next_end:
                for at, stack in enumerate(stacks):
                    functions[at].send(scenario.ends_by)
                    while functions[at].exit_code is None:
                        time.sleep(0.02)
                    stack.close()
                    functions[at] = stack.enter_context(
                        _instance(venv, config, ports[at], pubsub.address, secrets.address)
                    )
                    restarts += 1
                next_end = time.monotonic() + scenario.every_s
            time.sleep(0.05)
        times = Counter((record["pixel_id"], record["conversion_id"]) for record in x.accepted())
        return Outcome(
            published=scenario.messages * scenario.events,
            delivered=len(times),
            doubles=sum(times.values()) - len(times),
            dead_letters=len(pubsub.pull(path.dead_letter_subscription, timeout_s=0.1)),
            restarts=restarts,
            seconds=time.monotonic() - started,
        )
