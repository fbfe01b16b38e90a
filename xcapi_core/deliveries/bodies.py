"""Receives request bodies, within limits of time and memory."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from xcapi_core.deliveries.admission import MAX_BODY_BYTES, Admission, body_cost

__all__ = ["BODY_TIMEOUT_S", "Bodies", "BodyRefused"]

# Pub/Sub sends a body at once. A client that sends slowly would hold its part of the memory for as long as it likes.
BODY_TIMEOUT_S = 20.0

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyRefused(Exception):  # noqa: N818 - it says what becomes of the request
    """The body is given up; `status` and `reason` are the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Bodies:
    """Receives bodies. One timer watches all of them: the one that began first is due first."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._open: dict[asyncio.Task[Any], float] = {}
        self._refusals: dict[asyncio.Task[Any], BodyRefused] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def receive(self, receive: _Receive, declared: int | None) -> tuple[bytearray, int]:
        """Return a body and what was admitted for it, which the caller releases; raises BodyRefused.

        `declared` is the length that the headers name, if they do. Room is taken for what has arrived, since a sender
        can declare anything.
        """
        if declared is not None and declared > MAX_BODY_BYTES:
            raise BodyRefused(400, "the body is larger than any Pub/Sub delivery")
        cost = body_cost(0)
        if not (self._admission.has_room(body_cost(declared or 0)) and self._admission.admit(cost)):
            raise BodyRefused(429, "memory_full")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._watch(task)
        try:
            body, cost = await self._collect(receive, cost)
        except asyncio.CancelledError:
            if (refusal := self._refusals.pop(task, None)) is None:
                raise
            task.uncancel()
            raise refusal from None
        finally:
            del self._open[task]
        return body, cost

    async def _collect(self, receive: _Receive, cost: int) -> tuple[bytearray, int]:
        """Put a body together; what was admitted for it is given back where it is refused."""
        body = bytearray()
        try:
            # What Request.stream() does, less the generator: it would cost as much as reading the delivery.
            more = True
            while more:
                part = await receive()
                chunk: bytes = part.get("body", b"")
                more = part.get("more_body", False)
                added = body_cost(len(chunk)) - body_cost(0)
                self._check(part["type"], len(body) + len(chunk), added, held=cost)
                cost += added
                body += chunk
        except BaseException:
            self._admission.release(cost)
            raise
        return body, cost

    def _check(self, kind: str, length: int, added: int, *, held: int) -> None:
        """Count a further part of a body in, or raise BodyRefused."""
        if kind != "http.request":
            # Pub/Sub gave up before the body was here; it will come back.
            raise BodyRefused(400, "the connection was closed before the body was here")
        if length > MAX_BODY_BYTES:
            raise BodyRefused(400, "the body is larger than any Pub/Sub delivery")
        if not self._admission.admit(added, held=held):
            raise BodyRefused(429, "memory_full")

    def stop(self) -> None:
        """Wait for no body any more."""
        for task in list(self._open):
            self._refuse(task, BodyRefused(503, "shutting_down"))

    def _watch(self, task: asyncio.Task[Any]) -> None:
        loop = asyncio.get_running_loop()
        self._open[task] = loop.time() + BODY_TIMEOUT_S
        if self._timer is None:
            self._timer = loop.call_later(BODY_TIMEOUT_S, self._sweep)

    def _refuse(self, task: asyncio.Task[Any], refusal: BodyRefused) -> None:
        if task not in self._refusals:
            self._refusals[task] = refusal
            task.cancel()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for task, due in list(self._open.items()):
            if due > loop.time():
                break
            self._refuse(task, BodyRefused(408, "the body did not arrive in time"))
        self._timer = None
        if self._open:
            first = next(iter(self._open.values()))
            self._timer = loop.call_later(max(0.1, first - loop.time()), self._sweep)
