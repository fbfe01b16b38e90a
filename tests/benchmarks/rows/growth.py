"""Cost per event as things grow: a whole process's CPU time by event, signatures and X's answers included."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.benchmarks import wrk
from tests.benchmarks.configuration import PIXEL, configuration
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.letters import TOPIC, LetterSink
from tests.benchmarks.processes import FunctionServer, cpu_s
from tests.benchmarks.pushing import push
from tests.benchmarks.results import Plot, Result, Table, judged
from tests.benchmarks.running import REAL, Run, medians
from tests.benchmarks.workload import Sample, array_of, push_body, sale

__all__ = ["measure"]

EVENTS_A_MESSAGE = (1, 10, 100, 500, 2_000, 20_000)
IN_FLIGHT = (1, 10, 100, 400, 1_000)
PIXELS = (1, 3, 10, 30, 100)
INVALID_PERCENT = (0, 10, 25, 50, 75, 100)
EVENTS = 20_000
SMALL_MESSAGES = 3_000
X_LATENCY_S = 0.05
# Rises below this are the machine's noise.
FLAT_WITHIN = 1.15
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Curve:
    name: str
    what: str
    x_title: str
    x: Sequence[int]
    y_us: Sequence[float]
    note: str = ""


def measure(run: Run) -> list[Result]:
    """Measure four curves; a point is the median of its rounds, and the points of a curve take turns."""
    run.need_wrk()
    with FakeX() as x, FakeX(latency_s=X_LATENCY_S) as slow_x:
        curves = [
            _by_message_size(run, x),
            _by_deliveries_in_flight(run, slow_x),
            _by_pixels(run, x),
            _by_invalid_share(run, x),
        ]
    return [_result(curve) for curve in curves]


def _by_message_size(run: Run, x: FakeX) -> _Curve:
    with run.function(REAL, configuration(x_url=x.url)) as function:
        function.ready()

        def cost(size: int) -> float:
            messages = max(1, int(run.scaled(min(EVENTS // size, SMALL_MESSAGES))))
            return _cost(function, [array_of(sale, size) for _ in range(messages)], messages * size)

        y = _in_turn(run, "events a message", EVENTS_A_MESSAGE, cost)
    return _Curve("message-size", "events a message, 1 → 20,000", "events a message", EVENTS_A_MESSAGE, y)


def _by_deliveries_in_flight(run: Run, x: FakeX) -> _Curve:
    with run.function(REAL, configuration(x_url=x.url)) as function:
        function.ready()

        def cost(at_once: int) -> float:
            before, used = x.counts(), cpu_s(function.pid)
            wrk.check(wrk.run(function.url, connections=at_once, seconds=run.scaled(2)))
            return (cpu_s(function.pid) - used) / x.counts().since(before).events

        y = _in_turn(run, "deliveries in flight", IN_FLIGHT, cost)
    note = f"Single-event deliveries, X at {X_LATENCY_S * 1e3:.0f} ms."
    return _Curve("in-flight", "deliveries in flight, 1 → 1,000", "deliveries in flight", IN_FLIGHT, y, note)


def _by_pixels(run: Run, x: FakeX) -> _Curve:
    with run.function(REAL, configuration(x_url=x.url, pixels=max(PIXELS))) as function:
        function.ready()

        def cost(pixels: int) -> float:
            def sample(number: int) -> dict[str, object]:
                pixel = number % pixels
                return sale(number, pixel_id=f"p{pixel}" if pixel else PIXEL)

            count = int(run.scaled(EVENTS))
            return _cost(function, [array_of(sample, count)], count)

        y = _in_turn(run, "pixels", PIXELS, cost)
    note = "One message of 20,000 events, spread over the pixels; each pixel's events need a request of their own."
    return _Curve("pixels", "pixels, 1 → 100", "pixels", PIXELS, y, note)


def _by_invalid_share(run: Run, x: FakeX) -> _Curve:
    with (
        LetterSink() as sink,
        run.function(
            REAL, configuration(x_url=x.url, dead_letters=TOPIC), PUBSUB_EMULATOR_HOST=sink.address
        ) as function,
    ):
        function.ready()

        def cost(percent: int) -> float:
            count = int(run.scaled(EVENTS) / 10)
            return _cost(function, [array_of(_partly_invalid(percent), count) for _ in range(10)], 10 * count)

        y = _in_turn(run, "percent invalid", INVALID_PERCENT, cost)
    note = "Invalid events have a name that no event tag belongs to; they end as dead letters, published by gRPC."
    return _Curve("invalid", "locally invalid events, 0 → 100 %", "percent invalid", INVALID_PERCENT, y, note)


def _partly_invalid(percent: int) -> Sample:
    def sample(number: int) -> dict[str, object]:
        # Spread evenly: 37 has no divisor in common with 100.
        return sale(number, **({"event": "no such event"} if number * 37 % 100 < percent else {}))

    return sample


def _cost(function: FunctionServer, datas: Sequence[bytes], events: int) -> float:
    bodies = [push_body(data) for data in datas]
    used = cpu_s(function.pid)
    push(function.port, iter(bodies), at_once=8)
    return (cpu_s(function.pid) - used) / events


def _in_turn(run: Run, what: str, points: Sequence[int], cost: Callable[[int], float]) -> list[float]:
    contestants = {f"{what}: {point:,}": partial(cost, point) for point in points}
    found = medians(run.in_turn(contestants, rounds=min(run.rounds, _ROUNDS)))
    return [seconds * 1e6 for seconds in found.values()]


def _result(curve: _Curve) -> Result:
    first, last, most = curve.y_us[0], curve.y_us[-1], max(curve.y_us)
    return Result(
        what=f"growth: {curve.what}",
        goal="cost per event flat or falling",
        measured=f"{first:.0f} → {last:.0f} µs CPU an event",
        ratio=f"{last / first:.2f} ×",
        verdict=judged(met=most <= first * FLAT_WITHIN),
        figures={f"us_at_{point}": cost for point, cost in zip(curve.x, curve.y_us, strict=True)},
        tables=[
            Table(
                title=f"CPU time an event by {curve.x_title}",
                columns=(curve.x_title, "µs", "× the first"),
                rows=[
                    (f"{point:,}", f"{cost:.1f}", f"{cost / first:.2f}")
                    for point, cost in zip(curve.x, curve.y_us, strict=True)
                ],
                note=curve.note,
            )
        ],
        plots=[
            Plot(
                name=f"growth-{curve.name}",
                title=f"CPU time an event by {curve.x_title}",
                x_title=curve.x_title,
                y_title="µs",
                x=[f"{point:,}" for point in curve.x],
                y=curve.y_us,
            )
        ],
    )
