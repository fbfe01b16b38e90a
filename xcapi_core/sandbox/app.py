"""The sandbox over HTTP: X's one route, and the sandbox's own under /sandbox/."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import count
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Scope

from xcapi_core.sandbox.ads_routes import ads_routes
from xcapi_core.sandbox.answers import ROUTE_NOT_FOUND, Answer, error_answer, success_answer
from xcapi_core.sandbox.console.entries import Exchange
from xcapi_core.sandbox.console.feed import Feed
from xcapi_core.sandbox.console.guard import same_origin_only
from xcapi_core.sandbox.console.routes import ConsoleRoutes
from xcapi_core.sandbox.control import Control
from xcapi_core.sandbox.engine import Engine, Processed, ReceivedRequest
from xcapi_core.sandbox.faults import Fault, announcement, fault_answer
from xcapi_core.sandbox.http import as_response, signed_url
from xcapi_core.sandbox.masking import masked_headers
from xcapi_core.sandbox.recorder import RequestRecord

__all__ = ["DropConnection", "build_app"]

DropConnection = Callable[[Scope], Awaitable[None]]

# White space, so that it might still become JSON.
_CHUNK: Final = b" " * 8192
_CHUNK_S: Final = 0.01


def build_app(
    engine: Engine,
    *,
    drop_connection: DropConnection,
    stopping: asyncio.Event,
    clock: Callable[[], float] = time.time,
    on_request: Callable[[RequestRecord], None] | None = None,
    feed: Feed,
    console_title: str = "sandbox",
) -> Starlette:
    """Return the sandbox as an ASGI application.

    `drop_connection` closes the connection of a request without an answer, which ASGI has no word for.
    `stopping` is set when the server stops: injected delays end then.
    `on_request` hears of every request to the conversions endpoint, in the event loop's thread, `feed` too.
    """
    conversions = _ConversionsEndpoint(engine, drop_connection, stopping, clock, on_request, feed)
    control = Control(engine)
    console = ConsoleRoutes(feed, lambda: engine.faults, stopping, console_title)
    app = Starlette(
        routes=[
            Route("/{api_version}/measurement/conversions/{pixel_id}", conversions.respond, methods=["POST"]),
            *ads_routes(engine, clock),
            Route("/sandbox/conversions", same_origin_only(control.conversions), methods=["GET", "DELETE"]),
            Route("/sandbox/faults", same_origin_only(control.faults), methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/sandbox/keys", same_origin_only(control.keys), methods=["PUT", "POST"]),
            *console.routes(),
        ],
        exception_handlers={404: _route_not_found, 405: _route_not_found},
    )
    app.router.redirect_slashes = False
    return app


async def _route_not_found(_request: Request, _exception: Exception) -> Response:
    return as_response(error_answer(404, [ROUTE_NOT_FOUND]))


@dataclass(slots=True)
class _ConversionsEndpoint:
    """X's route, with the faults that were asked for."""

    engine: Engine
    drop_connection: DropConnection
    stopping: asyncio.Event
    clock: Callable[[], float]
    on_request: Callable[[RequestRecord], None] | None
    feed: Feed
    _request_ids: Iterator[int] = field(default_factory=lambda: count(1))

    async def respond(self, request: Request) -> Response:
        """Answer a request, or do what the chosen fault says."""
        started = time.perf_counter()
        try:
            received = await self._receive(request)
        except ClientDisconnect:
            return Response()
        early = self.engine.patience.is_early(received.pixel_id, received.received_at)
        fault, latency_s = self.engine.faults.choose(received.pixel_id)
        processed = self._process(received, fault)
        if latency_s:
            await self._pause(latency_s)
        self._record(request, received, processed, fault, early=early, started=started)
        if fault is not None and fault.drop:
            await self.drop_connection(request.scope)
            return Response()
        if fault is not None and (fault.endless_body or fault.slow_body_s):
            return self._dribble(request, processed.answer, fault)
        return as_response(processed.answer)

    async def _receive(self, request: Request) -> ReceivedRequest:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.raw}
        limit = self.engine.config.max_body_bytes
        body: bytes | None = b""
        if int(request.headers.get("content-length", "0")) > limit:
            body = None
        else:
            parts = bytearray()
            async for part in request.stream():
                parts += part
                if len(parts) > limit:
                    break
            body = bytes(parts) if len(parts) <= limit else None
        return ReceivedRequest(
            request_id=next(self._request_ids),
            url=signed_url(request, self.engine.config.public_url),
            api_version=request.path_params["api_version"],
            pixel_id=request.path_params["pixel_id"],
            headers=headers,
            body=body,
            received_at=self.clock(),
        )

    def _process(self, received: ReceivedRequest, fault: Fault | None) -> Processed:
        now = received.received_at
        if fault is not None and fault.replaces_answer:
            pixel = self.engine.config.pixel(received.pixel_id)
            allowance = self.engine.allowance(received.pixel_id, now)
            answer = fault_answer(fault, allowance, pixel.account_id if pixel else None, now)
            return Processed(answer=answer, auth="-")
        processed = self.engine.process(received)
        if fault is None:
            return processed
        answer = processed.answer
        if fault.processed is not None and answer.status == HTTPStatus.OK:
            pixel = self.engine.config.pixel(received.pixel_id)
            answer = success_answer(pixel.account_id if pixel else "", fault.processed, str(uuid.uuid4()))
            answer = replace(answer, headers=processed.answer.headers)
        extra = announcement(fault, self.engine.allowance(received.pixel_id, now), now)
        return replace(processed, answer=replace(answer, headers={**answer.headers, **extra}))

    def _record(
        self,
        request: Request,
        received: ReceivedRequest,
        processed: Processed,
        fault: Fault | None,
        *,
        early: bool,
        started: float,
    ) -> None:
        answer = processed.answer
        dropped = fault is not None and fault.drop is not None
        if not dropped:
            self.engine.patience.hear(received.pixel_id, answer, self.clock())
        record = RequestRecord(
            request_id=received.request_id,
            received_at=received.received_at,
            method=request.method,
            path=request.url.path,
            pixel_id=received.pixel_id,
            status=0 if dropped else answer.status,
            conversions=processed.conversions,
            accepted=processed.accepted,
            body_bytes=len(received.body or b""),
            duration_ms=round((time.perf_counter() - started) * 1000, 3),
            auth=processed.auth,
            error_codes=answer.error_codes,
            fault=fault.label if fault else "",
            hint=processed.hint,
            early=early,
            headers=masked_headers(received.headers),
        )
        self.engine.recorder.add_request(record)
        self.feed.hear(Exchange(request=record, body=received.body or b"", answer=answer, findings=processed.findings))
        if self.on_request is not None:
            self.on_request(record)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    def _dribble(self, request: Request, answer: Answer, fault: Fault) -> Response:
        """Send a body slowly, or without an end."""

        async def over() -> bool:
            return self.stopping.is_set() or await request.is_disconnected()

        async def endless() -> AsyncIterator[bytes]:
            yield answer.body
            while not await over():
                yield _CHUNK
                await self._pause(_CHUNK_S)

        async def slow() -> AsyncIterator[bytes]:
            pause_s = fault.slow_body_s / max(len(answer.body), 1)
            for index in range(len(answer.body)):
                if await request.is_disconnected():
                    return
                yield answer.body[index : index + 1]
                await self._pause(pause_s)

        body = endless() if fault.endless_body else slow()
        return StreamingResponse(body, answer.status, dict(answer.headers), answer.content_type)
