"""The console over HTTP: the page, its files, the stream of events, and the details of one."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from xcapi_core.sandbox.console.details import details
from xcapi_core.sandbox.console.feed import Feed
from xcapi_core.sandbox.console.guard import same_origin_only
from xcapi_core.sandbox.faults import FaultPlan

__all__ = ["ConsoleRoutes"]

_POLL_S: Final = 0.15
_KEEPALIVE_S: Final = 15.0
# A browser opens six connections to a host, for all of its tabs: two stay free for pages and what they ask.
_MOST_STREAMS: Final = 4
_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(slots=True)
class ConsoleRoutes:
    """The handlers, over one feed. `title` says what serves the page: "sandbox" or "dev"."""

    feed: Feed
    faults: Callable[[], FaultPlan]
    stopping: asyncio.Event
    title: str
    _streams: deque[object] = field(default_factory=lambda: deque(maxlen=_MOST_STREAMS))

    def routes(self) -> list[Route]:
        """Return the console's routes."""
        return [
            Route("/", same_origin_only(self.page)),
            Route("/console/stream", same_origin_only(self.stream)),
            Route("/console/events", same_origin_only(self.clear), methods=["DELETE"]),
            Route("/console/events/{entry_id:int}", same_origin_only(self.details)),
            Route("/console/{name}", same_origin_only(self.asset)),
        ]

    async def page(self, _request: Request) -> Response:
        """GET: the page."""
        return _file("index.html")

    async def asset(self, request: Request) -> Response:
        """GET: a file that the page needs."""
        return _file(request.path_params["name"])

    async def details(self, request: Request) -> Response:
        """GET: everything about one event; `?reveal=1` shows its identifiers."""
        entry = self.feed.entry(request.path_params["entry_id"])
        if entry is None:
            return JSONResponse({"problem": "This event is no longer kept."}, 404)
        return JSONResponse(details(entry, revealed=request.query_params.get("reveal") == "1"))

    async def clear(self, _request: Request) -> Response:
        """DELETE: forget every event."""
        self.feed.clear()
        return Response(status_code=204)

    async def stream(self, request: Request) -> Response:
        """GET: server-sent events `changes`, with the rows that changed and the totals.

        A new stream ends the oldest of many. That page comes again and goes on where it was, so that any number of
        tabs take turns.
        """
        return StreamingResponse(self._changes(request), media_type="text/event-stream")

    async def _changes(self, request: Request) -> AsyncIterator[str]:
        generation, _, since = request.headers.get("last-event-id", "").partition("-")
        seen = (int(generation), int(since)) if generation.isdecimal() and since.isdecimal() else (0, -1)
        told, quiet_s, turn = "", 0.0, object()
        self._streams.append(turn)
        try:
            yield "retry: 1000\n\n"
            while not self.stopping.is_set():
                found = self.feed.changes(*seen)
                faults = self.faults().as_json()
                state = json.dumps({"mode": self.title, "totals": found.totals, "faults": faults})
                if (found.generation, found.revision) != seen or state != told:
                    seen, told, quiet_s = (found.generation, found.revision), state, 0.0
                    data = json.dumps({"generation": found.generation, "rows": found.rows, **json.loads(state)})
                    yield f"event: changes\nid: {found.generation}-{found.revision}\ndata: {data}\n\n"
                elif quiet_s >= _KEEPALIVE_S:
                    quiet_s = 0.0
                    yield ": still here\n\n"
                if turn not in self._streams:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), _POLL_S)
                quiet_s += _POLL_S
        finally:
            with suppress(ValueError):
                self._streams.remove(turn)


@cache
def _asset(name: str) -> bytes | None:
    """Return a file of the page; only those that are there by name, so that no path leads elsewhere."""
    found = {file.name: file for file in files("xcapi_core.sandbox.console").joinpath("page").iterdir()}
    return found[name].read_bytes() if name in found else None


def _file(name: str) -> Response:
    body = _asset(name)
    media_type = _MEDIA_TYPES.get(name.rpartition(".")[2])
    if body is None or media_type is None:
        return PlainTextResponse("There is no such file.\n", 404)
    return Response(body, media_type=media_type)
