"""Many concurrent POSTs over kept connections, as Pub/Sub's front ends have them; nothing is followed or retried."""

import asyncio
import time
from contextlib import suppress
from urllib.parse import urlsplit

__all__ = ["HttpClient"]

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# The server closes a connection that idles for 5 s; one that it closes at this moment would look like a lost answer.
_IDLE_S = 2.0


class HttpClient:
    """Posts JSON. `requests` would need a thread a push."""

    def __init__(self) -> None:
        self._idle: dict[str, list[tuple[float, _Connection]]] = {}

    async def post(self, url: str, body: bytes, *, timeout_s: float) -> tuple[int, bytes]:
        """Return status and body of the answer; status 0 when none came in time."""
        place = urlsplit(url).netloc
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(timeout_s):
                connection = self._take(place) or await asyncio.open_connection(*place.rsplit(":", 1))
                reader, writer = connection
                head = (
                    f"POST / HTTP/1.1\r\nHost: {place}\r\nContent-Type: application/json\r\n"
                    f"User-Agent: CloudPubSub-Google\r\nContent-Length: {len(body)}\r\n\r\n"
                )
                # Not drained: a nack may come before the server has taken the whole body.
                writer.write(head.encode() + body)
                status, answer, keep = await _read(reader)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            if connection:
                connection[1].close()
            return 0, b""
        except asyncio.CancelledError:
            if connection:
                connection[1].close()
            raise
        if keep:
            self._idle.setdefault(place, []).append((time.monotonic(), connection))
        else:
            writer.close()
        return status, answer

    async def close(self) -> None:
        """Close what is idle."""
        for connections in self._idle.values():
            for _, (_, writer) in connections:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        self._idle.clear()

    def _take(self, place: str) -> _Connection | None:
        idle = self._idle.get(place, [])
        while idle:
            since, (reader, writer) = idle.pop()
            if time.monotonic() - since < _IDLE_S and not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return None


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(status_line.split(" ")[1])
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return status, body, headers.get("connection", "").lower() != "close"
