"""One run: instances that come and go behind a balancer, a backlog, and what became of it."""

import json
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.deployment import PROJECT, oauth_payload
from tests.scale.accounts import Plan, most_in_a_window, pixel_name
from tests.scale.balancer import Balancer
from tests.scale.x_process import Seen, XProcess
from tests.soak.memory import pss_mb
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.ports import LOOPBACK
from xcapi_core.sandbox.services.pubsub import DeliveryPath

__all__ = ["Outcome", "Progress", "simulate"]

# A deployment has 50 and 10, beside a window of 900 s.
_SETTLE_TIMEOUT_S = 20.0
_REQUEST_TIMEOUT_S = 10.0
_ACK_DEADLINE_S = 40
_LOOK_S = 0.5

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it. `doubles` counts each time beyond the first that X took an event.

    `may_double` are events of requests that no answer was heard of: X may have counted them, and they were sent again.
    `most_in_a_window` is the most that X counted of one account in one window, and `refused_for_budget` how many
    requests it refused because the budget was spent. `memory_mb` is an instance's mean after the start and at the end.
    """

    seconds: float
    at_best_s: float
    lost: int
    doubles: int
    may_double: int
    dead_letters: int
    most_in_a_window: int
    refused_for_budget: int
    requests: int
    pushes: int
    remainders: int
    instances_added: int
    instances_removed: int
    memory_mb: tuple[float, float] | None

    def problems(self, plan: Plan) -> list[str]:
        """Say what is not as it has to be; an empty list where all is."""
        wrong = {
            f"{self.lost:,} events never reached X": self.lost,
            f"{self.dead_letters:,} dead letters": self.dead_letters,
            f"X took {self.doubles:,} events twice, and of {self.may_double:,} no answer was heard": self.doubles
            > self.may_double,
            f"an account got {self.most_in_a_window:,} in a window of {plan.budget:,}": self.most_in_a_window
            > plan.budget,
        }
        return [words for words, is_so in wrong.items() if is_so]


@dataclass(slots=True)
class _Told:
    """What the instances' logs say."""

    may_double: int = 0
    remainders: int = 0

    def read(self, entries: list[dict[str, object]]) -> None:
        for entry in entries:
            match entry.get("event"):
                case "batch.deferred" if "http_status" not in entry:
                    self.may_double += int(str(entry["conversions"]))
                case "remainder.published":
                    self.remainders += int(str(entry["messages"]))


class _Fleet:
    """The instances: `add` starts one and lets it have requests, `remove` ends the oldest as Cloud Run does."""

    def __init__(self, new: Callable[[], FunctionProcess], balancer: Balancer) -> None:
        self._new = new
        self._balancer = balancer
        self._running: list[FunctionProcess] = []
        self.told = _Told()
        self.added = 0
        self.removed = 0

    def __len__(self) -> int:
        return len(self._running)

    def add(self) -> None:
        function = self._new()
        function.start()
        self._running.append(function)
        self._balancer.add(function.url)
        self.added += 1

    def remove(self) -> None:
        function = self._running.pop(0)
        self._balancer.remove(function.url)
        function.stop(signal.SIGTERM)
        self.told.read(function.log_entries)
        self.removed += 1

    def close(self) -> None:
        for function in self._running:
            function.kill()
            self.told.read(function.log_entries)
        self._running.clear()

    def memory_mb(self) -> float | None:
        each = [pss_mb(function.pid) for function in self._running]
        known = [one for one in each if one is not None]
        return sum(known) / len(known) if known else None


def simulate(plan: Plan, *, every_s: float, give_up_after_s: float, progress: Progress) -> Outcome:
    """Run until everything is acked; every `every_s` one instance ends or another begins.

    `progress` hears of the messages that wait and of the instances. Raises TimeoutError after `give_up_after_s`.
    """
    venv = FunctionVenv.prepare(repository_root() / "requirements.txt", repository_root() / ".cache")
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        x = running.enter_context(XProcess(plan))
        pubsub = running.enter_context(EmbeddedPubsub())
        balancer = running.enter_context(Balancer())
        path = DeliveryPath.named(
            PROJECT,
            "conversions",
            f"http://{LOOPBACK}:{balancer.port}/",
            ack_deadline_s=_ACK_DEADLINE_S,
            min_backoff_s=1,
            max_backoff_s=plan.max_backoff_s,
        )
        config = _function_config(plan, path, x.url, folder)

        def new_function() -> FunctionProcess:
            return FunctionProcess(
                venv, config, source=repository_root(), project=PROJECT, pubsub_address=pubsub.address
            )

        fleet = _Fleet(new_function, balancer)
        running.callback(fleet.close)
        while len(fleet) < plan.processes:
            fleet.add()
        memory_before = fleet.memory_mb()
        for one in (path, path.remainder()):
            pubsub.provision(one)
        began = time.time()
        for number, data in _messages(plan):
            pubsub.publish(path.topic, data, {"pixel_id": pixel_name(number % plan.pixels)})
        _wait_until_acked(pubsub, fleet, plan, every_s=every_s, gives_up_at=began + give_up_after_s, progress=progress)
        memory_after = fleet.memory_mb()
        fleet.close()
        return _outcome(
            plan,
            x.seen(),
            fleet,
            began=began,
            dead_letters=len(pubsub.pull(path.dead_letter_subscription, timeout_s=0.1)),
            pushes=balancer.requests,
            memory_mb=(memory_before, memory_after) if memory_before and memory_after else None,
        )


def _wait_until_acked(
    pubsub: EmbeddedPubsub, fleet: _Fleet, plan: Plan, *, every_s: float, gives_up_at: float, progress: Progress
) -> None:
    changes_at = time.time() + every_s
    while waiting := pubsub.unacked:
        now = time.time()
        if now > gives_up_at:
            raise TimeoutError(f"{waiting:,} messages are not acked")
        if now >= changes_at:
            progress(waiting, len(fleet))
            if len(fleet) < plan.processes:
                fleet.add()
            elif plan.processes > 1:
                fleet.remove()
            changes_at = time.time() + every_s
        time.sleep(_LOOK_S)


def _function_config(plan: Plan, path: DeliveryPath, x_url: str, folder: Path) -> Mapping[str, object]:
    (folder / "keys.json").write_bytes(oauth_payload())
    credentials = {"credentials": f"file:{folder}/keys.json"}
    return {
        "dead_letter_topic": path.dead_letter_topic,
        "remainder_topic": path.remainder().topic,
        "pixels": {pixel_name(number): credentials for number in range(plan.pixels)},
        "api_base_url": x_url,
        "request_timeout_s": _REQUEST_TIMEOUT_S,
        "settle_timeout_s": _SETTLE_TIMEOUT_S,
        "rate": {"events": plan.share, "window_s": plan.window_s},
    }


def _messages(plan: Plan) -> list[tuple[int, bytes]]:
    messages, first = [], 0
    for number, size in enumerate(plan.message_sizes()):
        tag = f"tw-{pixel_name(number % plan.pixels)}-t1"
        events = [
            {"event_id": tag, "conversion_id": f"c{event}", "twclid": f"t{event}"}
            for event in range(first, first + size)
        ]
        messages.append((number, json.dumps(events).encode()))
        first += size
    return messages


def _outcome(
    plan: Plan,
    seen: Seen,
    fleet: _Fleet,
    *,
    began: float,
    dead_letters: int,
    pushes: int,
    memory_mb: tuple[float, float] | None,
) -> Outcome:
    lost = seen.times.count(0)
    return Outcome(
        seconds=seen.latest_at - began,
        at_best_s=plan.at_best_s,
        lost=lost,
        doubles=sum(seen.times) - (plan.events - lost),
        may_double=fleet.told.may_double,
        dead_letters=dead_letters,
        most_in_a_window=most_in_a_window(seen.counted, plan.window_s),
        refused_for_budget=seen.statuses[429],
        requests=seen.statuses.total(),
        pushes=pushes,
        remainders=fleet.told.remainders,
        instances_added=fleet.added,
        instances_removed=fleet.removed,
        memory_mb=memory_mb,
    )
