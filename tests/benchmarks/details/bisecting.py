"""How often X sees each conversion while some are refused that it does not name."""

import asyncio
import random
import time
from dataclasses import dataclass

import msgspec

from tests.benchmarks.details.measuring import detail, without_log
from tests.benchmarks.results import Result, Table
from tests.benchmarks.running import Run
from tests.fakes import Outcomes
from xcapi_core.conversions import Conversion
from xcapi_core.ledger import Ledger
from xcapi_core.outcomes import Rejected
from xcapi_core.service import build_batchers
from xcapi_core.settings import PixelSettings, RateSettings, Settings
from xcapi_core.x_api.credential_cache import Secret
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse
from xcapi_core.x_api.queue import Waiting

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
    """Send 20 messages of 500 events, at once and one after the other, with random bad ones among them."""
    source = random.Random(1)  # the same patterns in every run
    rows = []
    for share in SHARES:
        bad = {number for number in range(EVENTS) if source.random() < share}
        with without_log():
            backlog = asyncio.run(_Scene(bad).send_all(at_once=True))
            in_turn = asyncio.run(_Scene(bad).send_all(at_once=False))
        goal = f"{MOST_SENDS[share]:.0f}" if share in MOST_SENDS else ""
        rows.append((f"{share:.1%}", f"{backlog.sends:.2f}", f"{in_turn.sends:.2f}", goal, f"{in_turn.lone_after}"))
    table = Table(
        title=f"How often X sees each of {EVENTS:,} conversions when some are refused that it does not name",
        columns=("bad", "sends, all at once", "sends, message by message", "at most", "requests for a lone one"),
        rows=rows,
        note=f"Messages of {MESSAGE}. The last column: a lone bad one in the message of {MESSAGE} that comes next.",
    )
    return detail(
        table,
        f"1 % bad: each is sent {rows[2][1]} times, message by message {rows[2][2]}; 5 %: {rows[3][1]}, {rows[3][2]}",
    )


@dataclass(frozen=True)
class _Found:
    sends: float
    lone_after: int


class _Scene:
    """A batcher before an X that refuses the conversions of these numbers."""

    def __init__(self, bad: set[int]) -> None:
        self._bad = bad
        self._x = _AllOrNothingX(frozenset(map(_name, [*bad, EVENTS + MESSAGE // 3])))
        settings = Settings(
            dead_letter_topic="file:dead_letters",
            pixels={PIXEL: PixelSettings(pixel_id=PIXEL, credentials="env:KEYS", event_ids={})},
            rate=RateSettings(events=10**9),
        )
        self._batcher = build_batchers(
            settings, secrets=_Secrets(), transport=self._x, ledger=Ledger(), clock=time.monotonic
        )[PIXEL]

    async def send_all(self, *, at_once: bool) -> _Found:
        """Send `EVENTS` conversions, then a message with a lone bad one."""
        step = EVENTS if at_once else MESSAGE
        rejected: set[int] = set()
        for first in range(0, EVENTS, step):
            rejected |= await self._send(range(first, first + step))
        if rejected != self._bad:
            raise AssertionError("others than the bad ones were rejected")
        sends, requests = self._x.conversions / EVENTS, self._x.requests
        await self._send(range(EVENTS, EVENTS + MESSAGE))
        return _Found(sends, self._x.requests - requests)

    async def _send(self, numbers: range) -> set[int]:
        """Send these conversions and return the numbers of the rejected ones."""
        latest_start, sender = time.monotonic() + 600, Outcomes()
        submitted = []
        for name in map(_name, numbers):
            wire = msgspec.json.encode({"conversion_id": name})
            conversion = Conversion(pixel_id=PIXEL, event_tag="o8z21", conversion_id=name, wire=wire)
            submitted.append(Waiting(conversion, latest_start, sender))
        outcomes_of = [sender.future_of(waiting) for waiting in submitted]
        self._batcher.submit(submitted)
        outcomes = zip(numbers, await asyncio.gather(*outcomes_of), strict=True)
        return {number for number, outcome in outcomes if isinstance(outcome, Rejected)}


def _name(number: int) -> str:
    return f"c{number}"
