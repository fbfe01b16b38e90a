"""An X that misbehaves below HTTP too: a raw socket server on loopback, one behaviour at a time."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tests.loopback_server import LoopbackServer

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


class NastyX(LoopbackServer):
    """A context manager; assign `behave`, read `received`. Connections stay open between requests, as X's do."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.behave: Behaviour = well
        self.received: list[Received] = []

    @property
    def url(self) -> str:
        """The value of `api_base_url`."""
        return f"http://{self.host}:{self.port}"

    def start_over(self) -> None:
        """Behave well, and forget what came."""
        self.behave = well
        self.received = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await _read(reader)) is not None:
            self.received.append(request)
            await self.behave(request, writer)
            await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    return Received(method, path, headers, body)
