"""What the sandbox's routes have in common: the URL that a client signed, and an answer as a response."""

from starlette.requests import Request
from starlette.responses import Response

from xcapi_core.sandbox.answers import Answer

__all__ = ["as_response", "signed_url"]


def signed_url(request: Request, public_url: str | None) -> str:
    """Return the URL as the client signed it: its own spelling of the path, the host that it asked for."""
    scope = request.scope
    base = public_url or f"{scope['scheme']}://{request.headers.get('host', '')}"
    query = scope["query_string"]
    url: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return base.rstrip("/") + url.decode("latin-1")


def as_response(answer: Answer) -> Response:
    """Write an answer as HTTP."""
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)
