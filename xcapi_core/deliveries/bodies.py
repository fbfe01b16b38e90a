"""Receives request bodies, within limits of time and memory."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from xcapi_core.deliveries.admission import BYTES_A_BODY_BYTE, DELIVERY_BYTES, MAX_BODY_BYTES, Admission
from xcapi_core.deliveries.deadlines import Deadlines

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
        if not (self._admission.has_room(_cost(declared or 0)) and self._admission.admit(DELIVERY_BYTES)):
            raise BodyRefused(429, "memory_full")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._deadlines.watch(task, _loop_time() + BODY_TIMEOUT_S)
        body = bytearray()
        try:
            # What Request.stream() does, less the generator: it would cost as much as reading the delivery.
            more = True
            while more:
                part = await receive()
                body += self._admitted(part, len(body))
                more = part.get("more_body", False)
        except BaseException as error:
            self._admission.release(_cost(len(body)))
            refusal = self._refusals.pop(task, None)
            if refusal is None or not isinstance(error, asyncio.CancelledError):
                raise
            task.uncancel()
            raise refusal from None
        finally:
            self._deadlines.forget(task)
        return body, _cost(len(body))

    def _admitted(self, part: MutableMapping[str, Any], arrived: int) -> bytes:
        """Return a further part of a body, when there is room for it; raises BodyRefused."""
        chunk: bytes = part.get("body", b"")
        if part["type"] != "http.request":
            # Pub/Sub gave up before the body was here; it will come back.
            raise BodyRefused(400, "the connection was closed before the body was here")
        if arrived + len(chunk) > MAX_BODY_BYTES:
            raise BodyRefused(400, "the body is larger than any Pub/Sub delivery")
        if not self._admission.admit(BYTES_A_BODY_BYTE * len(chunk), held=_cost(arrived)):
            raise BodyRefused(429, "memory_full")
        return chunk

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


def _cost(body_bytes: int) -> int:
    return DELIVERY_BYTES + BYTES_A_BODY_BYTE * body_bytes


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
