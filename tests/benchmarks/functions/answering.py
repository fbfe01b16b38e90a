"""The real function, all but the POST: what goes to X is answered at once, inside the process.

The seam is the transport that the service builds; everything before and after it is the product's own.
`BENCH_X_LATENCY_S` makes the answer wait. `BENCH_PROFILE` names a file: then the main thread's CPU time is sampled from
the first delivery on, and `GET /profile` writes what was found.
"""

import asyncio
import os

import functions_framework.aio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tests.benchmarks.functions.sampling import Sampler
from xcapi_core import service
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure

__all__ = ["send_conversions"]

_LATENCY_S = float(os.environ.get("BENCH_X_LATENCY_S", "0"))
_PROFILE = os.environ.get("BENCH_PROFILE")


class _AnswersAtOnce:
    """Stands where `XSession` does; X's answer is that all conversions were processed."""

    def __init__(self, *, max_in_flight: int) -> None:
        """Take what the real one takes."""

    async def post(
        self, request: HttpRequest, _credentials: Credentials, _timeout_s: float
    ) -> HttpResponse | TransportFailure:
        """Answer 200."""
        if _LATENCY_S:
            await asyncio.sleep(_LATENCY_S)
        body = {"data": {"conversions_processed": request.conversions, "debug_id": "bench"}}
        return HttpResponse(status=200, headers={"content-type": "application/json"}, body=msgspec.json.encode(body))

    def abort(self) -> None:
        """Nothing is under way."""


vars(service)["XSession"] = _AnswersAtOnce

import main as product  # noqa: E402 - it imports the wiring, which by now holds the other transport

_sampler = Sampler()
send_conversions = product.send_conversions


@functions_framework.aio.http
async def _sampled(request: Request) -> Response:
    """Hand over to the product's function."""
    if request.scope["path"] == "/profile":
        _sampler.write(_PROFILE or os.devnull)
        return Response(status_code=200)
    _sampler.start()
    answer: Response = await product.send_conversions(request)  # type: ignore[misc]  # the decorator's types
    return answer


if _PROFILE:
    send_conversions = _sampled
