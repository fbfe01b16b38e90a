"""Receives request bodies, within limits of time and memory."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from xcapi_core.deliveries.admission import MAX_BODY_BYTES, Admission, body_cost
from xcapi_core.deliveries.deadlines import Deadlines

__all__ = ["BODY_TIMEOUT_S", "Bodies", "BodyRefused"]

# Pub/Sub sends a body at once. A client that sends slowly would hold its part of the memory for as long as it likes.
BODY_TIMEOUT_S = 20.0
_EMPTY_COST = body_cost(0)

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyRefused(Exception):  # noqa: N818 - it says what becomes of the request
    """The body is given up; `status` and `reason` are the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Bodies:
    """Receives bodies."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._refusals: dict[asyncio.Task[Any], BodyRefused] = {}
        self._deadlines = Deadlines[asyncio.Task[Any]](self._end, _loop_time)

    async def receive(self, receive: _Receive, declared: int | None) -> tuple[bytearray, int]:
        """Return a body and what was admitted for it, which the caller releases; raises BodyRefused.

        `declared` is the length that the headers name, if they do. Room is taken for what has arrived, since a sender
        can declare anything.
        """
        if declared is not None and declared > MAX_BODY_BYTES:
            raise BodyRefused(400, "the body is larger than any Pub/Sub delivery")
        if not (self._admission.has_room(body_cost(declared or 0)) and self._admission.admit(_EMPTY_COST)):
            raise BodyRefused(429, "memory_full")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._deadlines.watch(task, _loop_time() + BODY_TIMEOUT_S)
        body = bytearray()
        cost = _EMPTY_COST
        try:
            # What Request.stream() does, less the generator: it would cost as much as reading the delivery.
            more = True
            while more:
                part = await receive()
                cost += self._admit(part, len(body), held=cost)
                body += part.get("body", b"")
                more = part.get("more_body", False)
        except BaseException as error:
            self._admission.release(cost)
            refusal = self._refusals.pop(task, None)
            if refusal is None or not isinstance(error, asyncio.CancelledError):
                raise
            task.uncancel()
            raise refusal from None
        finally:
            self._deadlines.forget(task)
        return body, cost

    def _admit(self, part: MutableMapping[str, Any], arrived: int, *, held: int) -> int:
        """Return what a further part of a body was admitted for, or raise BodyRefused."""
        if part["type"] != "http.request":
            # Pub/Sub gave up before the body was here; it will come back.
            raise BodyRefused(400, "the connection was closed before the body was here")
        length = len(part.get("body", b""))
        if arrived + length > MAX_BODY_BYTES:
            raise BodyRefused(400, "the body is larger than any Pub/Sub delivery")
        added = body_cost(length) - _EMPTY_COST
        if not self._admission.admit(added, held=held):
            raise BodyRefused(429, "memory_full")
        return added

    def stop(self) -> None:
        """Wait for no body any more."""
        for task in self._deadlines.open:
            self._refuse(task, BodyRefused(503, "shutting_down"))

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._refuse(task, BodyRefused(408, "the body did not arrive in time"))

    def _refuse(self, task: asyncio.Task[Any], refusal: BodyRefused) -> None:
        if task not in self._refusals:
            self._refusals[task] = refusal
            task.cancel()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
