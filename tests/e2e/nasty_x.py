"""An X that misbehaves below HTTP too: a raw socket server on loopback, one behaviour at a time."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

__all__ = ["Behaviour", "NastyX", "Received", "answer", "well"]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came. Header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def conversions(self) -> list[dict[str, object]]:
        """The body's conversions."""
        found: list[dict[str, object]] = json.loads(self.body)["conversions"]
        return found


Behaviour = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes, *, content_type: str = "application/json", **headers: str) -> bytes:
    """Write a whole, correct answer; header names have _ for -."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def well(request: Received, writer: asyncio.StreamWriter) -> None:
    """Take everything, as X does on good days."""
    data = {"conversions_processed": len(request.conversions), "debug_id": "00000000-0000-0000-0000-000000000000"}
    writer.write(answer(200, json.dumps({"data": data}).encode()))


class NastyX:
    """A context manager; assign `behave`, read `received`. Connections stay open between requests, as X's do."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.behave: Behaviour = well
        self.received: list[Received] = []
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nasty X", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, self._host, 0, backlog=1000), self._loop
        ).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close everything."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The value of `api_base_url`."""
        assert self._server is not None
        return f"http://{self._host}:{self._server.sockets[0].getsockname()[1]}"

    def start_over(self) -> None:
        """Behave well, and forget what came."""
        self.behave = well
        self.received = []

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (request := await _read(reader)) is not None:
                    self.received.append(request)
                    await self.behave(request, writer)
                    await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    return Received(method, path, headers, body)
