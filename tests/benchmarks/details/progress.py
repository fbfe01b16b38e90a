"""What progress in Pub/Sub costs: how much is published again, in situations that could go round in circles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from tests.benchmarks.details.measuring import detail, without_log
from tests.benchmarks.results import Result, Table
from tests.benchmarks.running import Run
from tests.fakes import FakeX, Handler, failed, ok
from tests.handling import OTHER_PIXEL, PIXEL, HandlerRig, event
from tests.virtual_pubsub import VirtualPubsub
from tests.virtual_time import VirtualLoop
from xcapi_core.settings import RateSettings
from xcapi_core.x_api.protocol import HttpResponse

__all__ = ["SITUATIONS", "Situation", "Spent", "measure", "run_situation"]

_UNNAMED = {"code": "INVALID_PARAMETER", "message": "At least one user identifier must be provided"}
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Situation:
    """`messages` of events by number; `x` makes X's behaviour on a clock."""

    name: str
    messages: Sequence[range]
    x: Callable[[Callable[[], float]], Handler]
    x_takes_s: float = 0.2
    rate_events: int = 60_000
    pixel_of: Callable[[int], str] = lambda _: PIXEL


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What it came to, until the last message was acked. `times_the_bytes` counts the first publishing."""

    events: int
    hours: float
    remainders: int
    published_again: float
    times_the_bytes: float
    nacks: int
    requests: int
    exhausted: int


def _takes_all(_: Callable[[], float]) -> Handler:
    return lambda conversions: ok(len(conversions))


def _limits_each_quarter_of_an_hour(events: int) -> Callable[[Callable[[], float]], Handler]:
    def make(clock: Callable[[], float]) -> Handler:
        windows: dict[float, int] = {}

        def handler(conversions: list[dict[str, object]]) -> HttpResponse:
            window, left_s = clock() // 900, 900 - clock() % 900
            if windows.get(window, 0) + len(conversions) > events:
                return failed(429, {"code": "TOO_MANY_REQUESTS"}, retry_after=f"{left_s:.0f}")
            windows[window] = windows.get(window, 0) + len(conversions)
            return ok(len(conversions))

        return handler

    return make


def _down_for_six_hours(clock: Callable[[], float]) -> Handler:
    up_at = clock() + 6 * _HOUR_S
    return lambda conversions: (
        failed(503) if clock() < up_at and OTHER_PIXEL in str(conversions) else ok(len(conversions))
    )


def _minds_one_in(every: int) -> Callable[[Callable[[], float]], Handler]:
    def handler(conversions: list[dict[str, object]]) -> HttpResponse:
        numbers = [int(str(item["conversion_id"])[1:]) for item in conversions]
        return failed(400, _UNNAMED) if any(number % every == 0 for number in numbers) else ok(len(numbers))

    return lambda _: handler


def _in_messages_of(size: int, events: int) -> list[range]:
    return [range(first, first + size) for first in range(0, events, size)]


SITUATIONS = (
    Situation(
        name="a budget of 500 in 15 minutes, one message of 20,000",
        messages=_in_messages_of(20_000, 20_000),
        x=_takes_all,
        rate_events=500,
    ),
    Situation(
        name="X takes 1,700 in 15 minutes, then answers 429 until they are over; messages of 2,000",
        messages=_in_messages_of(2_000, 20_000),
        x=_limits_each_quarter_of_an_hour(1_700),
    ),
    Situation(
        name="a pixel is down for six hours, one event of each 100 is for it",
        messages=_in_messages_of(100, 5_000),
        x=_down_for_six_hours,
        pixel_of=lambda number: OTHER_PIXEL if number % 100 == 0 else PIXEL,
    ),
    Situation(
        name="… and every second event",
        messages=_in_messages_of(100, 5_000),
        x=_down_for_six_hours,
        pixel_of=lambda number: OTHER_PIXEL if number % 2 == 0 else PIXEL,
    ),
    Situation(
        name="X minds one in 20 and does not name it, messages of 500",
        messages=_in_messages_of(500, 5_000),
        x=_minds_one_in(20),
    ),
    Situation(
        name="… and takes 2 s a request: bisections stay unfinished",
        messages=_in_messages_of(500, 5_000),
        x=_minds_one_in(20),
        x_takes_s=2.0,
    ),
)


def measure(run: Run) -> list[Result]:
    """Let each situation run to its end on a clock that jumps, and count what is published."""
    rows = []
    for situation in SITUATIONS:
        run.say(situation.name)
        with without_log():
            spent = run_situation(situation)
        rows.append(
            (
                situation.name,
                f"{spent.events:,}",
                f"{spent.hours:.1f}",
                f"{spent.nacks:,}",
                f"{spent.remainders:,}",
                f"{spent.published_again:.2f}",
                f"{spent.times_the_bytes:.2f}",
            )
        )
    most = max(float(row[-1]) for row in rows)
    table = Table(
        title="What progress in Pub/Sub costs",
        columns=("", "events", "hours", "nacks", "remainders", "published again an event", "× the bytes"),
        rows=rows,
        note="Back-off of 10 to 600 s, 80 pushes at a time, settle_timeout_s 50; time jumps. × the bytes: all that is "
        "published over what the publisher published.",
    )
    return detail(table, f"at most {most:.2f} × the bytes", times_the_bytes=most)


def run_situation(situation: Situation) -> Spent:
    """Publish the messages, and deliver them and their remainders until every one is acked."""
    loop = VirtualLoop()
    x = FakeX(situation.x(loop.time), latency_s=situation.x_takes_s)
    pubsub = VirtualPubsub(loop.time)
    rig = HandlerRig(
        x,
        remainder=pubsub,
        clock=loop.time,
        rate=RateSettings(events=situation.rate_events, window_s=900),
    )
    messages = [
        msgspec.json.encode([_event(situation, number) for number in message]) for message in situation.messages
    ]
    began = loop.time()
    try:
        loop.run(pubsub.deliver(rig.handler.handle, messages))
        hours = (loop.time() - began) / _HOUR_S
    finally:
        loop.close()
    events = sum(map(len, situation.messages))
    published = sum(map(len, messages))
    return Spent(
        events=events,
        hours=hours,
        remainders=len(pubsub.remainders),
        published_again=sum(len(one.event_indices) for one in pubsub.remainders) / events,
        times_the_bytes=1 + sum(one.size_bytes for one in pubsub.remainders) / published,
        nacks=pubsub.nacks,
        requests=len(x.requests),
        exhausted=pubsub.exhausted,
    )


def _event(situation: Situation, number: int) -> dict[str, object]:
    pixel_id = situation.pixel_of(number)
    return event(f"c{number}", pixel_id=pixel_id, twclid=f"{pixel_id}x{number}")
