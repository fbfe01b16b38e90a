"""Pushing deliveries at the function as Pub/Sub does: a small HTTP client, and the envelopes."""

import asyncio
import base64
import itertools
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Answer", "envelope", "event", "new_id", "post", "push", "push_all", "request"]

_numbers = itertools.count(1)
_RUN = os.urandom(4).hex()

SUBSCRIPTION = "projects/test-project/subscriptions/conversions"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `seconds` is how long it took; `status` 0 means that the connection gave no answer."""

    status: int
    body: bytes = field(repr=False)
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def json(self) -> object:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def reason(self) -> object:
        """What a nack or a refusal says of itself."""
        body = self.json
        return body.get("reason") if isinstance(body, dict) else None


def new_id(prefix: str = "c") -> str:
    """Return an id that no other test uses."""
    return f"{prefix}-{_RUN}-{next(_numbers)}"


def event(**fields: object) -> dict[str, object]:
    """Make a good event with a conversion id of its own; a field set to None is left out."""
    good: dict[str, object] = {
        "event_id": "tw-o8z6j-o8z21",
        "conversion_id": new_id(),
        "conversion_time": "2026-04-20T12:34:56.000Z",
        "email": "nobody@example.com",
        **fields,
    }
    return {name: value for name, value in good.items() if value is not None}


def envelope(
    data: object,
    *,
    attributes: Mapping[str, str] | None = None,
    message_id: str | None = None,
    attempt: int | None = None,
) -> dict[str, object]:
    """Wrap events (bytes as they are, anything else as JSON) into a push request's body."""
    payload = data if isinstance(data, bytes) else json.dumps(data).encode()
    message: dict[str, object] = {
        "data": base64.b64encode(payload).decode(),
        "messageId": message_id or new_id("m"),
        "publishTime": "2026-04-20T12:35:00.123Z",
    }
    if attributes is not None:
        message["attributes"] = dict(attributes)
    body: dict[str, object] = {"message": message, "subscription": SUBSCRIPTION}
    if attempt is not None:
        body["deliveryAttempt"] = attempt
    return body


async def push(url: str, data: object, **options: object) -> Answer:
    """Deliver events; `options` are those of `envelope`."""
    return await post(url, envelope(data, **options))  # type: ignore[arg-type]  # passed through


async def push_all(url: str, payloads: Sequence[object], *, at_once: int = 50) -> list[Answer]:
    """Deliver several messages, so many at a time, in one order."""
    slots = asyncio.Semaphore(at_once)

    async def one(payload: object) -> Answer:
        async with slots:
            return await push(url, payload)

    return list(await asyncio.gather(*map(one, payloads)))


async def post(url: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """POST a body: bytes as they are, anything else as JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await request(url, "POST", payload, {"Content-Type": "application/json", **(headers or {})})


async def request(
    url: str, method: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, timeout_s: float = 100.0
) -> Answer:
    """Send one request over a connection of its own, and read the whole answer."""
    parts = urlsplit(url)
    started = time.monotonic()
    head = [f"{method} {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}"]
    head += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method == "POST":
        head.append(f"Content-Length: {len(body)}")
    async with asyncio.timeout(timeout_s):
        try:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                # Not drained: the answer may come before the server has taken the whole body.
                writer.write("\r\n".join([*head, "", ""]).encode() + body)
                status, answer_headers, answer_body = await _read(reader)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            return Answer(0, b"", time.monotonic() - started)
    return Answer(status, answer_body, time.monotonic() - started, answer_headers)


async def _read(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status_line.split(" ")[1]), headers, await reader.readexactly(int(headers.get("content-length", "0")))
