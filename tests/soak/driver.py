"""Delivers and redelivers as Pub/Sub does: many pushes at a time, ack deadline, back-off, attempts, at least once."""

import asyncio
import base64
import heapq
import itertools
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.soak.evidence import Drive
from tests.soak.http_client import HttpClient
from tests.soak.plan import Publication

__all__ = ["Driver", "Nack", "Redelivery"]

# Pub/Sub: "Receive push messages": these acknowledge, everything else is a nack.
_ACKS = frozenset({102, 200, 201, 202, 204})
_BESIDE_AFTER_S = 0.02
_AGAIN_WITHIN_S = 3.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Redelivery:
    """The subscription's settings, and how much of it goes on at a time.

    `outstanding` messages at most are published and not acked: the publishers follow the function's pace, as far as
    that. `at_once` pushes are open at most, and `a_second` begin at most.
    """

    ack_deadline_s: float
    min_backoff_s: float = 1.0
    max_backoff_s: float = 8.0
    max_attempts: int = 100
    at_once: int = 100
    outstanding: int = 300
    a_second: float = math.inf


@dataclass(frozen=True, slots=True)
class Nack:
    """One negative answer: when, with which reason, and after how many seconds it came."""

    at: float
    reason: str
    seconds: float


class Driver:
    """One topic with one push subscription."""

    def __init__(
        self, plan: Publication, *, url: Callable[[], str], subscription: str, rules: Redelivery, seed: int = 0
    ) -> None:
        self._plan = plan
        self._url = url
        self._subscription = subscription
        self._rules = rules
        self._chance = random.Random(seed)
        self._client = HttpClient()
        self._due: list[tuple[float, int, int, int, bool]] = []  # (at, tie, number, attempt, whether it is an extra)
        self._ties = itertools.count()
        self._changed = asyncio.Event()
        self._unpublished = iter(range(len(plan.sizes)))
        self._tasks: set[asyncio.Task[None]] = set()
        self._oldest = 0
        self._stopping = False
        self.published: dict[int, float] = {}
        self.acked: dict[int, float] = {}
        self.exhausted: list[int] = []
        self.answers: Counter[str] = Counter()
        self.nacks: list[Nack] = []
        self.published_events = 0
        self.acked_events = 0
        # Publishers hold on here until it is raised: an incident is to happen before all is over.
        self.hold_at = math.inf
        self.offered_events = 0

    @property
    def drive(self) -> Drive:
        """What the deliveries came to so far."""
        return Drive(published=self.published, acked=self.acked, answers=self.answers, exhausted=self.exhausted)

    @property
    def oldest_wait_s(self) -> float:
        """The age of the oldest message that is not acked."""
        # Published in the order of their numbers, so the first one that is not acked is the oldest.
        while self._oldest in self.acked:
            self._oldest += 1
        published_at = self.published.get(self._oldest)
        return 0.0 if published_at is None else time.time() - published_at

    async def run(self) -> None:
        """Deliver until every message is acked or given up, or `stop` is called."""
        slots = asyncio.Semaphore(self._rules.at_once)
        next_at = 0.0
        try:
            while True:
                await slots.acquire()
                await asyncio.sleep(max(0.0, next_at - time.monotonic()))
                next_at = max(next_at, time.monotonic()) + 1 / self._rules.a_second
                due = await self._next()
                if due is None:
                    break
                task = asyncio.create_task(self._push(*due))
                self._tasks.add(task)

                def ended(done: asyncio.Task[None]) -> None:
                    self._tasks.discard(done)
                    slots.release()
                    self._changed.set()

                task.add_done_callback(ended)
            await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await self._client.close()

    def stop(self) -> None:
        """Begin no further push."""
        self._stopping = True
        self._changed.set()

    async def _next(self) -> tuple[int, int, bool] | None:
        while not self._stopping:
            now = time.time()
            if self._due and self._due[0][0] <= now:
                _, _, number, attempt, extra = heapq.heappop(self._due)
                return number, attempt, extra
            outstanding = len(self.published) - len(self.acked) - len(self.exhausted)
            if outstanding < self._rules.outstanding and self.published_events < self.hold_at:
                number = next(self._unpublished, -1)
                if number >= 0:
                    self.published[number] = now
                    self.published_events += self._plan.sizes[number]
                    if self._plan.message(number).again == "beside":
                        self._enqueue(number, 1, _BESIDE_AFTER_S, extra=True)
                    return number, 1, False
            if not (self._due or self._tasks or self._is_held):
                return None
            self._changed.clear()
            try:
                await asyncio.wait_for(
                    self._changed.wait(), min(_LOOK_S, self._due[0][0] - now) if self._due else _LOOK_S
                )
            except TimeoutError:
                continue
        return None

    @property
    def _is_held(self) -> bool:
        return self.hold_at <= self.published_events and len(self.published) < len(self._plan.sizes)

    def _enqueue(self, number: int, attempt: int, delay_s: float, *, extra: bool = False) -> None:
        heapq.heappush(self._due, (time.time() + delay_s, next(self._ties), number, attempt, extra))
        self._changed.set()

    async def _push(self, number: int, attempt: int, extra: bool) -> None:  # noqa: FBT001 - one of a queue's fields
        message = self._plan.message(number)
        self.offered_events += len(message.ends)
        body = _envelope(
            number,
            message.data,
            published_at=self.published[number],
            subscription=self._subscription,
            attempt=attempt,
        )
        began = time.time()
        status, answer = await self._client.post(self._url(), body, timeout_s=self._rules.ack_deadline_s)
        now = time.time()
        reason = _reason(answer)
        self.answers[f"{status or 'no answer'} {reason}".strip()] += 1
        if status in _ACKS:
            if number not in self.acked:
                self.acked[number] = now
                self.acked_events += len(message.ends)
                if message.again == "after":
                    self._enqueue(number, attempt + 1, self._chance.random() * _AGAIN_WITHIN_S, extra=True)
            return
        self.nacks.append(Nack(now, f"{status or 'no answer'} {reason}".strip(), now - began))
        if extra or number in self.acked:
            return
        if attempt >= self._rules.max_attempts:
            self.exhausted.append(number)
            return
        backoff_s = min(self._rules.max_backoff_s, self._rules.min_backoff_s * 2 ** min(attempt - 1, 16))
        self._enqueue(number, attempt + 1, backoff_s)


def _envelope(number: int, data: bytes, *, published_at: float, subscription: str, attempt: int) -> bytes:
    """Write a push's body, both spellings included, as Pub/Sub does."""
    publish_time = datetime.fromtimestamp(published_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {
        "data": base64.b64encode(data).decode(),
        "attributes": {"soak_message": str(number)},
        "messageId": f"{number:016d}",
        "message_id": f"{number:016d}",
        "publishTime": publish_time,
        "publish_time": publish_time,
    }
    return json.dumps({"message": message, "subscription": subscription, "deliveryAttempt": attempt}).encode()


def _reason(answer: bytes) -> str:
    if not answer:
        return ""
    try:
        found = json.loads(answer)
    except ValueError:
        return "unreadable answer"
    return str(found.get("reason", "")) if isinstance(found, dict) else ""
