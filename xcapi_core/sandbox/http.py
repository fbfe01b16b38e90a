"""What the sandbox's routes have in common: the URL that a client signed, and an answer as a response."""

from collections.abc import Callable
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xcapi_core.sandbox.answers import Answer

__all__ = ["DateHeader", "as_response", "form_of", "signed_url"]


class DateHeader:
    """Gives every answer the `Date` of the sandbox's own clock, by which it judges signatures too (RFC 9110, 6.6.1)."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with the date."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._clock(), usegmt=True).encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"date", date)]}
            await send(message)

        await self._app(scope, receive, dated)


def signed_url(request: Request, public_url: str | None, form: bytes = b"") -> str:
    """Return the URL as the client signed it: its own spelling of the path, the host that it asked for.

    A form in the body is signed as the query is (RFC 5849 section 3.4.1.3.1), and so stands there.
    """
    scope = request.scope
    base = public_url or f"{scope['scheme']}://{request.headers.get('host', '')}"
    query = b"&".join(filter(None, (scope["query_string"], form)))
    url: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return base.rstrip("/") + url.decode("latin-1")


async def form_of(request: Request) -> bytes:
    """Return a body that is an HTML form's; empty where it is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return await request.body() if kind == "application/x-www-form-urlencoded" else b""


def as_response(answer: Answer) -> Response:
    """Write an answer as HTTP."""
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)
