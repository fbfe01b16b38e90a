"""How often X sees each conversion while some are refused that it does not name."""

import asyncio
import random
import time

import msgspec

from tests.benchmarks.details.measuring import detail
from tests.benchmarks.results import Result, Table
from tests.benchmarks.running import Run
from xcapi_core.conversions import Conversion
from xcapi_core.ledger import Ledger
from xcapi_core.outcomes import Rejected
from xcapi_core.settings import PixelSettings, RateSettings, Settings
from xcapi_core.x_api.assembly import build_batchers
from xcapi_core.x_api.credential_cache import Secret
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse

__all__ = ["measure"]

EVENTS = 10_000
MESSAGE = 500
PIXEL = "o8z6j"
SHARES = (0.0, 0.001, 0.01, 0.05)
MOST_SENDS = {0.01: 3.0, 0.05: 5.0}


class _Secrets:
    async def read(self, reference: str) -> Secret:
        return Secret(payload=b'{"pixel_token":"t"}', version=reference)


class _AllOrNothingX:
    """Refuses a request with one bad conversion in it, and does not say which."""

    def __init__(self, bad: frozenset[str]) -> None:
        self.bad = bad
        self.requests = 0
        self.conversions = 0

    async def post(self, request: HttpRequest, credentials: Credentials, timeout_s: float) -> HttpResponse:  # noqa: ARG002
        ids = [item["conversion_id"] for item in msgspec.json.decode(request.body)["conversions"]]
        self.requests += 1
        self.conversions += len(ids)
        await asyncio.sleep(0)
        if self.bad.isdisjoint(ids):
            body = {"data": {"conversions_processed": len(ids), "debug_id": ""}}
            return HttpResponse(status=200, headers={}, body=msgspec.json.encode(body))
        error = {"code": "INVALID_PARAMETER", "message": "At least one user identifier must be provided"}
        return HttpResponse(status=400, headers={}, body=msgspec.json.encode({"errors": [error]}))


def measure(_run: Run) -> list[Result]:
    """Send 20 messages of 500 events at once, with random bad ones among them."""
    source = random.Random(1)  # the same patterns in every run
    rows = []
    for share in SHARES:
        bad = frozenset(f"c{number}" for number in range(EVENTS) if source.random() < share)
        x, rejected = asyncio.run(_send(bad))
        if rejected != len(bad):
            raise AssertionError("others than the bad ones were rejected")
        sends = x.conversions / EVENTS
        goal = f"{MOST_SENDS[share]:.0f}" if share in MOST_SENDS else ""
        rows.append((f"{share:.1%}", f"{sends:.2f}", goal, str(x.requests)))
    table = Table(
        title=f"How often X sees each of {EVENTS:,} conversions when some are refused that it does not name",
        columns=("bad", "sends per conversion", "at most", "requests"),
        rows=rows,
        note="A lone bad one among 500 costs 12 requests at most.",
    )
    return detail(table, f"1 % bad: each is sent {rows[2][1]} times, 5 %: {rows[3][1]}")


async def _send(bad: frozenset[str]) -> tuple[_AllOrNothingX, int]:
    x, ledger = _AllOrNothingX(bad), Ledger()
    settings = Settings(
        dead_letter_topic="file:letters",
        pixels={PIXEL: PixelSettings(pixel_id=PIXEL, credentials="env:KEYS", event_ids={})},
        rate=RateSettings(events=10**9),
    )
    batcher = build_batchers(settings, secrets=_Secrets(), transport=x, ledger=ledger, clock=time.monotonic)[PIXEL]
    conversions = [
        Conversion(
            pixel_id=PIXEL, event_tag="o8z21", conversion_id=name, wire=msgspec.json.encode({"conversion_id": name})
        )
        for name in (f"c{number}" for number in range(EVENTS))
    ]
    latest_start = time.monotonic() + 600
    outcomes = await asyncio.gather(
        *(
            batcher.submit(conversion, ledger.digest(*conversion.identity), latest_start=latest_start)
            for conversion in conversions
        )
    )
    return x, sum(isinstance(outcome, Rejected) for outcome in outcomes)
