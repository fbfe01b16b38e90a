"""Instances that share a subscription, under an unwell X and unwell topics, and all that can befall them.

What each instance was sent, and what X, Pub/Sub and the instance each know of it, is recorded, so that it can be told
which repetitions the README names a cause for ("Limits") and which it does not.
"""

import asyncio
import json
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import msgspec

from tests.fakes import failed, ok
from tests.handling import PIXEL, HandlerRig, event, refusing
from tests.virtual_pubsub import VirtualPubsub
from tests.virtual_time import VirtualLoop, VirtualProcess
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.deliveries.memory import REMEMBERED_S
from xcapi_core.deliveries.outgoing import OutgoingMessage
from xcapi_core.ledger import CAPACITY, Ledger
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.service import END_POSTS_AFTER_S, END_WAITING_AFTER_S, STOP_WITHIN_S
from xcapi_core.settings import BatchSettings
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure

__all__ = ["Plan", "World"]

ACK_DEADLINE_S = 75.0
KILLED_AFTER_SIGTERM_S = 10.0
_NAME = re.compile(rb'"conversion_id": ?"(\w+)"')
# Every 25th is one that X refuses, and the one behind it cannot be read.
_EVERY = 25


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to happen: `faults` of these kinds, each after about `every_s`, to one of the `instances`."""

    instances: int = 1
    faults: Sequence[str] = ()
    times: int = 30
    every_s: float = 13.0
    unwell_topics: float = 0.0
    lost_acks: float = 0.0
    ledger_capacity: int = CAPACITY
    shared_conversions: bool = False


@dataclass
class _Sent:
    """A conversion that X counted; `said` once the instance has its answer."""

    instance: int
    said: bool = False


@dataclass
class _DeadLetter:
    """A dead letter; `told` where the instance knows that it is published."""

    reason: str
    instance: int
    at: float
    told: bool = False


@dataclass
class World:
    """X, Pub/Sub, the instances, and what became of each event."""

    loop: VirtualLoop
    seed: int
    plan: Plan
    sent: dict[str, list[_Sent]] = field(default_factory=lambda: defaultdict(list))
    dead_letters: dict[str, list[_DeadLetter]] = field(default_factory=lambda: defaultdict(list))
    # By event, why two instances may both have sent it.
    excuses: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        """Draw what the seed decides, and start the instances."""
        chance = self.chance = random.Random(self.seed)
        self.batch = BatchSettings(max_conversions=chance.choice([5, 50, 500]), max_in_flight=chance.choice([1, 4]))
        self.latency_s = chance.choice([0.1, 1.0, 4.0])
        self.pubsub = VirtualPubsub(self.loop.time, max_attempts=1_000)
        self.instances: list[Instance] = []
        # By message, the instances that may have settled it: all to which it was pushed, but those that nacked it.
        self._may_have_settled: dict[str, set[int]] = defaultdict(set)
        sizes = [chance.choice([1, 2, 7, 30, 120, 500]) for _ in range(8)]
        self.names = [f"c{number}" for number in range(sum(sizes))]
        events = [
            event(name, **({"value": "much"} if number % _EVERY == 1 else {})) for number, name in enumerate(self.names)
        ]
        packed = [events[sum(sizes[:at]) : sum(sizes[: at + 1])] for at in range(len(sizes))]
        if self.plan.shared_conversions:
            for one in packed[1:]:
                twice = chance.choice(packed[0])
                if int(str(twice["conversion_id"])[1:]) % _EVERY > 1:
                    one.append(twice)
                    self.excuses[str(twice["conversion_id"])].add("published in two messages")
        self.messages = [json.dumps(one).encode() for one in packed]

    def epoch_s(self) -> float:
        """Return the time of day, as X and Pub/Sub have it."""
        return self.pubsub.now().timestamp()

    def run(self) -> None:
        """Deliver everything, whatever happens meanwhile."""
        self.loop.run(self._run())

    async def _run(self) -> None:
        for _ in range(self.plan.instances):
            self._start()
        faults = asyncio.create_task(self._let_things_happen())
        await self.pubsub.deliver(self._push, self.messages, every_s=self.chance.choice([0.0, 2.0, 15.0]))
        faults.cancel()

    def _start(self) -> None:
        self.instances.append(Instance(self, len(self.instances)))

    async def _let_things_happen(self) -> None:
        for _ in range(self.plan.times if self.plan.faults else 0):
            await asyncio.sleep(self.plan.every_s * 2 * self.chance.random())
            instance = self.chance.choice([one for one in self.instances if one.accepts])
            match self.chance.choice(self.plan.faults):
                case "SIGTERM" if instance.process.is_running:
                    self._start()
                    instance.stop()
                case "SIGTERM" | "SIGKILL":
                    self._start()
                    self.kill(instance)
                case "suspended" if instance.process.is_running:
                    instance.process.suspend()
                    self.loop.call_later(self.chance.choice([5.0, 60.0, 90.0, 4 * 3600.0]), instance.wake_up)
                case "clock":
                    instance.clock_off_s = self.chance.choice([-90_000.0, -3_600.0, -5.0, 0.0, 5.0, 3_600.0, 90_000.0])

    def kill(self, instance: "Instance") -> None:
        """End an instance, with all it has in memory."""
        instance.accepts = False
        for message in instance.open:
            self.excuse(names_of(message.data), "open when its instance was killed")
        instance.process.kill()

    def excuse(self, names: Sequence[str], why: str) -> None:
        """Record why these may be sent by two instances."""
        for name in names:
            self.excuses[name].add(why)

    async def _push(self, message: PubsubMessage) -> Answer:
        instance = self.chance.choice([one for one in self.instances if one.accepts])
        settlers = self._may_have_settled[message.message_id]
        if settlers - {instance.number}:
            self.excuse(names_of(message.data), "a duplicate that reached another instance")
        is_first = instance.number not in settlers
        settlers.add(instance.number)
        answer = await instance.push(message)
        if answer is None or (answer.is_ack and self.chance.random() < self.plan.lost_acks):
            return Answer(503, "no answer")
        if is_first and not answer.is_ack:
            settlers.discard(instance.number)
        return answer

    def findings(self) -> list[str]:
        """Return what must not happen."""
        found = [f"{self.pubsub.exhausted} messages exhausted"] if self.pubsub.exhausted else []
        for number, name in enumerate(self.names):
            kind = number % _EVERY
            found += self._findings_in_dead_letters(name, ["rejected", "invalid_event", "unconfirmed"][min(kind, 2)])
            if kind < 2:
                found += [f"{name}: X has it"] if self.sent[name] else []
                found += [] if self.dead_letters[name] else [f"{name}: lost"]
            else:
                found += self._findings_at_x(name)
        return found

    def _findings_in_dead_letters(self, name: str, reason: str) -> list[str]:
        dead_letters = self.dead_letters[name]
        found = [f"{name}: dead-lettered as {one.reason}" for one in dead_letters if one.reason != reason]
        if reason == "unconfirmed":
            return found
        for first, second in pairwise(one for one in dead_letters if one.told):
            # What may not have been published is published again, and Pub/Sub's duplicates are known for an hour.
            if first.instance == second.instance and second.at - first.at < REMEMBERED_S:
                found.append(f"{name}: two dead letters of one instance, {dead_letters}")
            if first.instance != second.instance and not self.excuses[name]:
                found.append(f"{name}: two dead letters of two instances without a cause, {dead_letters}")
        return found

    def _findings_at_x(self, name: str) -> list[str]:
        sent = self.sent[name]
        said = [one.instance for one in sent if one.said]
        if not said and not self.dead_letters[name]:
            return [f"{name}: lost, {sent}"]
        found = [
            f"{name}: sent twice by one instance, {sent}"
            for instance in set(said)
            if said.count(instance) > 1 and not self.instances[instance].pushed_out(name)
        ]
        if len(set(said)) > 1 and not self.excuses[name]:
            found.append(f"{name}: sent by two instances without a cause, {sent}")
        return found


class Instance:
    """One instance: its handler in a process of its own, its way to X (as a transport), and to the topics."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.accepts = True
        self.process = VirtualProcess(world.loop)
        self.clock_off_s = 0.0
        self.open: list[PubsubMessage] = []
        # What it published, or tried to, without an answer that it is safe.
        self.unsure: list[set[str]] = []
        self.ledger = ForgetfulLedger(capacity=world.plan.ledger_capacity)
        self._aborted: asyncio.Future[Any] = world.loop.create_future()
        self._refusing = refusing(*world.names[::_EVERY])
        self.handler = HandlerRig(
            transport=self,
            publisher=_Topic(self, "dead letters"),
            remainder=_Topic(self, "remainder"),
            ledger=self.ledger,
            clock=world.loop.time,
            wall_clock=lambda: datetime.fromtimestamp(world.epoch_s(), UTC) + timedelta(seconds=self.clock_off_s),
            batch=world.batch,
        ).handler

    async def push(self, message: PubsubMessage) -> Answer | None:
        """Return the answer to a push; None where Pub/Sub gets none in time."""
        handling = self.process.start(self.handler.handle(message))
        self.open.append(message)
        await asyncio.wait({handling, self.process.killed}, timeout=ACK_DEADLINE_S, return_when="FIRST_COMPLETED")
        self.open.remove(message)
        if not handling.done():
            return None
        answer = handling.result()
        names = names_of(message.data)
        if not (answer.is_ack or all(unsure.isdisjoint(names) for unsure in self.unsure)):
            # What is settled of it nevertheless, this instance alone knows.
            self.world.excuse(names, "a publish that failed, or of which nobody knew how it ended")
        return answer

    def stop(self) -> None:
        """Send SIGTERM: as `Service.stop` does it, and Cloud Run, which kills after ten seconds."""
        self.accepts = False
        self.process.start(self._stop())

    async def _stop(self) -> None:
        loop = self.world.loop
        self.handler.stop(loop.time() + STOP_WITHIN_S)
        loop.call_later(END_POSTS_AFTER_S, self._aborted.set_result, None)
        loop.call_later(END_WAITING_AFTER_S, self.handler.end_waiting)
        loop.call_later(STOP_WITHIN_S, self.handler.give_up)
        loop.call_later(KILLED_AFTER_SIGTERM_S, self._end)

    def _end(self) -> None:
        assert not self.open, "SIGTERM ends deliveries in time"
        self.process.kill()

    def wake_up(self) -> None:
        """Go on after a suspension."""
        if not self.process.killed.done():
            self.process.resume()

    def pushed_out(self, name: str) -> bool:
        """Tell whether the ledger had to forget this conversion."""
        return self.ledger.digest(PIXEL, "o8z21", name) in self.ledger.forgotten

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        """Post to X."""
        del credentials
        conversions = msgspec.json.decode(request.body)["conversions"]
        sent: list[_Sent] = []
        clock = self.world.loop.time
        too_late = clock() + timeout_s
        asking = self.process.outside(self._x(conversions, sent))
        await asyncio.wait({asking, self._aborted}, timeout=timeout_s, return_when="FIRST_COMPLETED")
        if not asking.done() or clock() > too_late:  # while it was suspended
            return TransportFailure("timeout")
        answer = asking.result()
        if isinstance(answer, HttpResponse) and answer.status == 200 and not _is_unclear(answer, conversions):
            for one in sent:
                one.said = True
        return answer

    async def _x(self, conversions: list[dict[str, Any]], sent: list[_Sent]) -> HttpResponse | TransportFailure:
        chance, takes_s = self.world.chance, 2 * self.world.latency_s * self.world.chance.random()
        await asyncio.sleep(takes_s * chance.random())
        unwell = chance.random() < 0.2
        if unwell and chance.random() < 0.8:
            return self._unwell()
        answer = self._refusing(conversions)
        assert isinstance(answer, HttpResponse)
        if answer.status == 200:
            for conversion in conversions:
                sent.append(_Sent(self.number))
                self.world.sent[conversion["conversion_id"]].append(sent[-1])
        await asyncio.sleep(takes_s / 2)
        if unwell:
            return failed(503) if chance.random() < 0.5 else TransportFailure("connection_lost")
        return ok(len(conversions) + 1) if answer.status == 200 and chance.random() < 0.1 else answer

    def _unwell(self) -> HttpResponse | TransportFailure:
        now = self.world.epoch_s()
        spent = {"x_rate_limit_remaining": "0", "x_rate_limit_reset": str(int(now) + 40), "date": formatdate(now)}
        answers: list[HttpResponse | TransportFailure] = [
            failed(503),
            failed(429, retry_after="40"),
            failed(429, **spent),
            failed(413),
            TransportFailure("connection_lost"),
        ]
        return self.world.chance.choice(answers)


def _is_unclear(answer: HttpResponse, conversions: list[dict[str, Any]]) -> bool:
    return bool(json.loads(answer.body)["data"]["conversions_processed"] != len(conversions))


class _Topic:
    """An instance's way to a topic, which may fail, be slow, or not tell that it succeeded."""

    def __init__(self, instance: Instance, name: str) -> None:
        self._instance = instance
        self._name = name

    async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:
        """Publish these, in the instance's process."""
        names = {name for message in messages for name in names_of(message.data)}
        self._instance.unsure.append(names)
        dead_letters: list[_DeadLetter] = []
        publishing = self._instance.process.outside(self._publish(messages, timeout_s, dead_letters))
        cause = await asyncio.shield(publishing)
        if cause is None:
            self._instance.unsure.remove(names)
            for dead_letter in dead_letters:
                dead_letter.told = True
        return cause

    async def _publish(
        self, messages: Sequence[OutgoingMessage], timeout_s: float, dead_letters: list[_DeadLetter]
    ) -> str | None:
        world, chance = self._instance.world, self._instance.world.chance
        ends = chance.choice(["refused", "late", "unknown"]) if chance.random() < world.plan.unwell_topics else "well"
        if ends == "refused":
            return "UNAVAILABLE"
        await asyncio.sleep(chance.random() * timeout_s if ends == "late" else 0.02)
        if self._name == "remainder":
            await world.pubsub.publish(messages, timeout_s)
        else:
            for message in messages:
                for name in names_of(message.data):
                    reason, instance = message.attributes["xcapi_reason"], self._instance.number
                    dead_letters.append(_DeadLetter(reason, instance, world.loop.time()))
                    world.dead_letters[name].append(dead_letters[-1])
        if ends == "unknown":
            await asyncio.sleep(timeout_s)
            return "DEADLINE_EXCEEDED"
        return None


class ForgetfulLedger(Ledger):
    """A ledger that records what its capacity makes it forget."""

    def __init__(self, *, capacity: int) -> None:
        super().__init__(capacity=capacity)
        self.forgotten: set[int] = set()

    def add(self, key: int, now: float) -> None:
        """Remember, and record what is forgotten for it."""
        older = self._older
        super().add(key, now)
        if self._older is not older:
            self.forgotten |= older.keys() - self._older.keys()


def names_of(data: bytes) -> list[str]:
    """Return the conversions that a message holds."""
    return [name.decode() for name in _NAME.findall(data)]
