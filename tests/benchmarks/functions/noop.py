"""The function that does nothing: what the framework, the server and the loop cost by themselves."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["send_conversions"]


@functions_framework.aio.http
async def send_conversions(_request: Request) -> Response:
    """Answer as the real function acks, without a look at the body."""
    return Response(status_code=204)
