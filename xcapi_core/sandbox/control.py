"""The sandbox's own routes under /sandbox/: what it saw, how it shall misbehave, whose keys it takes."""

import asyncio
import json
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from xcapi_core.problems import Problem
from xcapi_core.sandbox.engine import Engine
from xcapi_core.sandbox.fault_reader import read_faults
from xcapi_core.sandbox.key_reader import read_keys

__all__ = ["Control"]


@dataclass(slots=True)
class Control:
    """The handlers, over one engine."""

    engine: Engine

    async def conversions(self, request: Request) -> Response:
        """GET: what was accepted and refused, newest last, all that is kept or `limit` of each. DELETE: start over."""
        if request.method == "DELETE":
            self.engine.reset()
            return Response(status_code=204)
        pixel_id = request.query_params.get("pixel_id")
        text = request.query_params.get("limit")
        if text is not None and not (text.isascii() and text.isdigit() and int(text) > 0):
            return _problems([Problem(path="limit", found="something else", expected="a number above 0")])
        # A hundred thousand take seconds, in which X's own answers shall not wait.
        return await asyncio.to_thread(self._seen, pixel_id, int(text) if text else None)

    def _seen(self, pixel_id: str | None, limit: int | None) -> Response:
        recorder = self.engine.recorder
        return JSONResponse(
            {
                "accepted": recorder.conversions("accepted", pixel_id=pixel_id, limit=limit),
                "refused": recorder.conversions("refused", pixel_id=pixel_id, limit=limit),
                "requests": [r.as_json() for r in recorder.requests(pixel_id=pixel_id, limit=limit)],
                "counts": recorder.counts(),
            }
        )

    async def faults(self, request: Request) -> Response:
        """GET: the faults in force. POST: add one or several. PUT: these in place of all others. DELETE: lift all."""
        if request.method == "DELETE":
            self.engine.faults.clear()
            return Response(status_code=204)
        if request.method in ("POST", "PUT"):
            found = await _json_of(request)
            if isinstance(found, Problem):
                return _problems([found])
            faults, problems = read_faults(found)
            if problems:
                return _problems(problems)
            if request.method == "PUT":
                self.engine.faults.clear()
            self.engine.faults.add(faults)
        return JSONResponse({"faults": self.engine.faults.as_json()}, 201 if request.method == "POST" else 200)

    async def keys(self, request: Request) -> Response:
        """PUT or POST: take other keys from now on, as after a rotation."""
        found = await _json_of(request)
        if isinstance(found, Problem):
            return _problems([found])
        keys, problems = read_keys(found, self.engine.keys)
        if problems:
            return _problems(problems)
        self.engine.keys = keys
        return Response(status_code=204)


async def _json_of(request: Request) -> object:
    """Return the body's JSON, or the Problem that says from where on it is none, without quoting it."""
    try:
        return await request.json()
    except json.JSONDecodeError as error:
        found = f"no JSON from line {error.lineno}, column {error.colno} on"
    except (ValueError, RecursionError):
        found = "no JSON in UTF-8"
    return Problem(path="body", found=found, expected="a JSON document")


def _problems(problems: list[Problem]) -> Response:
    return JSONResponse({"problems": [str(problem) for problem in problems]}, 400)
