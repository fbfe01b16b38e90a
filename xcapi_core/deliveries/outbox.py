"""What deliveries publish to one topic: in requests that they share, each with an answer by its own deadline."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from xcapi_core import logs
from xcapi_core.deliveries.outgoing import (
    MAX_REQUEST_BYTES,
    MAX_REQUEST_MESSAGES,
    REQUEST_OVERHEAD_BYTES,
    OutgoingMessage,
)

__all__ = ["Outbox", "Publisher"]

MAX_IN_FLIGHT = 4
# What Pub/Sub answers where it takes offence at one message: the others of the request are published without it.
_OFFENDED = frozenset({"INVALID_ARGUMENT"})


class Publisher(Protocol):
    """Publishes messages that fit one request, all of them or none."""

    async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:
        """Return None when they are safe, else the cause in a word."""
        ...


class _Publication(msgspec.Struct, eq=False):
    """Messages that fit one request; `is_safe` is set once it is known how their request ended."""

    messages: Sequence[OutgoingMessage]
    deadline: float
    when_safe: Callable[[Sequence[OutgoingMessage]], None]
    is_safe: asyncio.Future[bool]

    @property
    def size_bytes(self) -> int:
        return sum(message.size_bytes for message in self.messages)

    def end(self, *, is_safe: bool) -> None:
        if is_safe:
            self.when_safe(self.messages)
        self.is_safe.set_result(is_safe)


class Outbox:
    """Publishes to one topic. While requests are in flight, what comes waits, and goes out together."""

    def __init__(self, publisher: Publisher, *, name: str, clock: Callable[[], float]) -> None:
        """`name` begins the log's event names: "dead_letters", "remainder"."""
        self._publisher = publisher
        self._name = name
        self._clock = clock
        self._waiting: deque[_Publication] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pump_scheduled = False
        self._stop_by = math.inf
        self._given_up: asyncio.Future[bool] | None = None

    async def publish(
        self,
        messages: Sequence[OutgoingMessage],
        deadline: float,
        when_safe: Callable[[Sequence[OutgoingMessage]], None],
    ) -> "asyncio.Future[bool]":
        """Publish messages that fit one request; return by `deadline`, on the outbox's clock, whether they are safe.

        The future is not done where nobody knows by then. `when_safe` is called as soon as they are, also where that is
        after the deadline, or after the caller is gone.
        """
        is_safe: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Publication(messages, deadline, when_safe, is_safe))
        self._wake()
        await self.wait_for(is_safe, deadline)
        return is_safe

    async def wait_for(self, ended: "asyncio.Future[bool]", deadline: float) -> None:
        """Wait for the end of something that is published, until `deadline` or the end of a shutdown."""
        self._given_up = self._given_up or asyncio.get_running_loop().create_future()
        patience_s = max(0.0, min(deadline, self._stop_by) - self._clock())
        await asyncio.wait({ended, self._given_up}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)

    def stop(self, by: float) -> None:
        """Let no request last beyond this time."""
        self._stop_by = by

    def give_up(self) -> None:
        """Let nobody wait any longer; the result of a request in flight still counts."""
        if self._given_up and not self._given_up.done():
            self._given_up.set_result(True)

    def _wake(self) -> None:
        # Through the loop: what others publish in this turn shares the request.
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        while self._waiting and len(self._tasks) < MAX_IN_FLIGHT:
            items: list[_Publication] = []
            count, size = 0, REQUEST_OVERHEAD_BYTES
            while self._waiting:
                count += len(self._waiting[0].messages)
                size += self._waiting[0].size_bytes
                if items and (count > MAX_REQUEST_MESSAGES or size > MAX_REQUEST_BYTES):
                    break
                items.append(self._waiting.popleft())
            task = asyncio.create_task(self._send(items))
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting:
            self._wake()

    async def _send(self, items: Sequence[_Publication]) -> None:
        messages = [message for item in items for message in item.messages]
        deadline = min(self._stop_by, max(item.deadline for item in items))
        try:
            cause = await self._publisher.publish(messages, max(0.0, deadline - self._clock()))
        except Exception as error:  # noqa: BLE001 - a bug here must not leave deliveries hanging
            logs.emit("ERROR", f"{self._name}.crashed", error)
            cause = "internal_error"
        if cause in _OFFENDED and len(items) > 1:
            for item in items:
                await self._send([item])
            return
        if cause is None:
            events = sum(len(message.event_indices) for message in messages)
            logs.emit("INFO", f"{self._name}.published", messages=len(messages), events=events)
        else:
            logs.emit("ERROR", f"{self._name}.unavailable", messages=len(messages), cause=cause)
        for item in items:
            item.end(is_safe=cause is None)
