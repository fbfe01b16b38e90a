"""An HTTP server on loopback that answers byte by byte as a test tells it to; no library tidies up after it."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec

__all__ = ["Answer", "Received", "StubX", "answer_ok", "for_ever", "http_answer", "silence", "writing"]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came: the request line, headers by lower-case name, the body, and on which connection."""

    line: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


Answer = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def http_answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Write an answer with its length; `headers` with underscores for hyphens."""
    named = {"content-length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Some Words\r\n{head}\r\n".encode() + body


async def answer_ok(received: Received, writer: asyncio.StreamWriter) -> None:
    """Confirm as many conversions as came."""
    count = len(msgspec.json.decode(received.body)["conversions"])
    writer.write(http_answer(200, msgspec.json.encode({"data": {"conversions_processed": count, "debug_id": "d"}})))


def writing(raw: bytes, *, then_close: bool = False) -> Answer:
    """Answer with these bytes."""

    async def answer(_received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        if then_close:
            await writer.drain()
            writer.close()

    return answer


def for_ever(opening: bytes, drip: bytes, every_s: float) -> Answer:
    """Begin an answer, and go on with it until the client goes away."""

    async def answer(_received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(opening)
        while True:
            writer.write(drip)
            await writer.drain()
            await asyncio.sleep(every_s)

    return answer


async def silence(_received: Received, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


@dataclass
class StubX:
    """An async context manager; connections stay open until the client or the answer closes them."""

    answer: Answer = answer_ok
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    # Set when the client went away while its answer was being written.
    deserted: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.Task[None]] = field(default_factory=set)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{'localhost' if self.tls else '127.0.0.1'}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def has_received(self, count: int) -> None:
        """Wait until so many requests came."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer, self.connections))
        self._open.add(task)
        # Not awaited: when the stub ends, asyncio would take the cancelled task for a crashed callback.
        await asyncio.wait({task})
        self._open.discard(task)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                received = await _read_request(reader, connection)
                async with self._arrived:
                    self.received.append(received)
                    self._arrived.notify_all()
                answering = asyncio.ensure_future(self._answered(received, writer))
                gone = asyncio.ensure_future(self._gone(reader))
                try:
                    await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
                    if not answering.done():
                        self.deserted.set()
                        return
                    await answering
                finally:
                    gone.cancel()
                    answering.cancel()
                if writer.is_closing():
                    return

    async def _answered(self, received: Received, writer: asyncio.StreamWriter) -> None:
        try:
            await self.answer(received, writer)
            if not writer.is_closing():
                await writer.drain()
        except ConnectionError:
            self.deserted.set()

    @staticmethod
    async def _gone(reader: asyncio.StreamReader) -> None:
        while not reader.at_eof():  # noqa: ASYNC110 - a look that takes nothing from the next request
            await asyncio.sleep(0.01)


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n")
    line, *fields = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(line, headers, body, connection)
