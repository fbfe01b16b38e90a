"""Pushing large messages, several at a time, as Pub/Sub would; single events are the load generator's."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.processes import on_core
from tests.benchmarks.results import CannotMeasureError
from xcapi_core.sandbox.services.ports import LOOPBACK

__all__ = ["Pushed", "push"]

# Pub/Sub backs off after nacks: 100 ms at first, up to a minute.
_NACK_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """How many messages were acked, how many nacks there were on the way, and how long it took."""

    acked: int
    nacked: int
    seconds: float


def push(port: int, bodies: Iterator[bytes], *, at_once: int, may_nack: bool = False) -> Pushed:
    """Push every body until it is acked. Raises CannotMeasureError for a nack that must not be, or no answer."""
    with on_core(-1):
        return asyncio.run(_push(port, bodies, at_once, may_nack))


async def _push(port: int, bodies: Iterator[bytes], at_once: int, may_nack: bool) -> Pushed:  # noqa: FBT001 - private
    acked = nacked = 0

    async def worker() -> None:
        nonlocal acked, nacked
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            for body in bodies:
                while (status := await _post(reader, writer, body)) != 204:
                    nacked += 1
                    if status != 429 or not may_nack:
                        raise CannotMeasureError(f"the function answered {status} to a good message")
                    await asyncio.sleep(_NACK_PAUSE_S)
                acked += 1
        finally:
            writer.close()

    started = time.perf_counter()
    try:
        await asyncio.gather(*(worker() for _ in range(at_once)))
    except (OSError, EOFError) as error:
        raise CannotMeasureError(f"the function went away: {type(error).__name__}") from error
    return Pushed(acked=acked, nacked=nacked, seconds=time.perf_counter() - started)


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    head = f"POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode())
    writer.write(body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    _, _, length = answer.partition("content-length: ")
    if length:
        await reader.readexactly(int(length.partition("\r\n")[0]))
    return int(answer.split(" ", 2)[1])
