"""The real function, with a clock around its signatures; `GET /counts` tells what it showed.

CPU seconds of the sending threads: in `requests` from preparing a request to its answer's head, and of that in the
signature.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import functions_framework.aio
import requests
from requests_oauthlib import OAuth1
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import main as product

__all__ = ["send_conversions"]

_lock = threading.Lock()
_counts = {"signatures": 0, "signing_s": 0.0, "sending_s": 0.0}


def _clocked(called: Callable[..., Any], name: str) -> Callable[..., Any]:
    def around(*args: Any, **kwargs: Any) -> Any:
        started = time.thread_time()
        try:
            return called(*args, **kwargs)
        finally:
            with _lock:
                _counts[name] += time.thread_time() - started
                _counts["signatures"] += name == "signing_s"

    return around


OAuth1.__call__ = _clocked(OAuth1.__call__, "signing_s")  # type: ignore[method-assign]
requests.Session.prepare_request = _clocked(requests.Session.prepare_request, "sending_s")  # type: ignore[method-assign]
requests.Session.send = _clocked(requests.Session.send, "sending_s")  # type: ignore[method-assign]


@functions_framework.aio.http
async def send_conversions(request: Request) -> Response:
    """Hand over to the product's function."""
    if request.scope["path"] == "/counts":
        return JSONResponse(_counts)
    answer: Response = await product.send_conversions(request)  # type: ignore[misc]  # the decorator's types
    return answer
