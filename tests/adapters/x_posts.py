"""Posts through an XSession, as its tests make them."""

import json
from pathlib import Path
from typing import Any

from tests.adapters.stub_x import Answer, StubX
from tests.fakes import conversion
from xcapi_core.adapters.x_session import XSession
from xcapi_core.x_api.credentials import Credentials, OAuth1Keys, PixelToken
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure, build_request

__all__ = [
    "KEYS",
    "LIMIT_S",
    "PATIENCE_S",
    "PUBLISHED",
    "TOKEN",
    "VECTORS",
    "answer_to",
    "post",
    "post_until_received",
    "request_to",
]

VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "oauth1.json").read_text(encoding="utf-8")
)
PUBLISHED = VECTORS["x_creating_a_signature"]
KEYS = OAuth1Keys(
    consumer_key=PUBLISHED["consumer_key"],
    consumer_secret=PUBLISHED["consumer_secret"],
    access_token=PUBLISHED["token"],
    access_token_secret=PUBLISHED["token_secret"],
)
TOKEN = PixelToken(pixel_token="a-pixel-token")
# Long beside a loopback round trip, short beside the drip of a server that never ends.
LIMIT_S = 0.4
# A hang guard, no expectation: what a test waits for has long happened by then.
PATIENCE_S = 60.0


def request_to(base_url: str, *conversion_ids: str) -> HttpRequest:
    """Return a request of conversions with these ids."""
    items = [conversion(conversion_id) for conversion_id in conversion_ids or ("c1",)]
    return build_request(api_base_url=base_url, api_version="12", pixel_id="o8z6j", conversions=items)


async def post(
    session: XSession, base_url: str, credentials: Credentials = KEYS, timeout_s: float = PATIENCE_S
) -> HttpResponse | TransportFailure:
    return await session.post(request_to(base_url), credentials, timeout_s)


async def post_until_received(
    session: XSession, x: StubX, credentials: Credentials = KEYS
) -> HttpResponse | TransportFailure:
    """Post within a limit that is short, and on a machine too busy to send anything in it within a longer one."""
    before, limit_s = len(x.received), LIMIT_S
    while True:
        answer = await post(session, x.url, credentials, limit_s)
        if len(x.received) > before or limit_s > PATIENCE_S:
            return answer
        limit_s *= 2


async def answer_to(
    answer: Answer, session: XSession, timeout_s: float = PATIENCE_S
) -> HttpResponse | TransportFailure:
    async with StubX(answer) as x:
        return await post(session, x.url, timeout_s=timeout_s)
