"""Cost per event as things grow: a whole process's CPU time by event, signatures and X's answers included."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

from tests.benchmarks import wrk
from tests.benchmarks.configuration import PIXEL, configuration
from tests.benchmarks.dead_letters import TOPIC, DeadLetterSink
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import FunctionServer, cpu_s
from tests.benchmarks.pushing import push
from tests.benchmarks.results import Plot, Result, Table, judged
from tests.benchmarks.rows.starting import first_answer
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
FLAT_WITHIN = 1.25
_ROUNDS = 3
# Two equal counts at X so far apart mean that nothing is under way. What is pushed has been answered by then; the load
# generator leaves in the middle, and a batcher may hold what waits for half a second.
_QUIET_S = 0.1
_QUIET_AFTER_WRK_S = 0.8

Load = Callable[[], int | None]


@dataclass(frozen=True, slots=True)
class _Curve:
    name: str
    what: str
    x_title: str
    x: Sequence[int]
    y_us: Sequence[float]
    a_request: Sequence[float]
    note: str = ""

    @property
    def rise(self) -> float:
        """How far any point lies above the lowest one before it, as a factor."""
        lowest = list(accumulate(self.y_us, min))
        return max(y / low for y, low in zip(self.y_us[1:], lowest, strict=False))


class _Meter:
    """Takes the cost of loads on one function; remembers how many events shared a request."""

    def __init__(self, function: FunctionServer, x: FakeX, *, quiet_s: float = _QUIET_S) -> None:
        self._function = function
        self._x = x
        self._quiet_s = quiet_s
        self._a_request: dict[int, float] = {}

    def cost(self, point: int, load: Load) -> float:
        """Return CPU seconds by event; a load returns how many events it had, or None for those that X received."""
        before, used = self._x.quiet_counts(self._quiet_s), cpu_s(self._function.pid)
        count = load()
        at_x = self._x.quiet_counts(self._quiet_s).since(before)
        self._a_request[point] = at_x.events / at_x.requests if at_x.requests else 0
        return (cpu_s(self._function.pid) - used) / (count or at_x.events)

    def curve(self, run: Run, name: str, what: str, points: Sequence[int], load: Callable[[int], Load]) -> _Curve:
        """Measure all points in turn; `load` prepares one."""
        contestants = {f"{what}: {point:,}": partial(self._prepared, point, load) for point in points}
        y = medians(run.in_turn(contestants, rounds=min(run.rounds, _ROUNDS))).values()
        return _Curve(
            name,
            f"{what}, {points[0]:,} → {points[-1]:,}",
            what,
            points,
            [each * 1e6 for each in y],
            list(self._a_request.values()),
        )

    def _prepared(self, point: int, load: Callable[[int], Load]) -> float:
        return self.cost(point, load(point))


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

        def load(size: int) -> Load:
            messages = max(1, int(run.scaled(min(EVENTS // size, SMALL_MESSAGES))))
            return _pushing(function, [array_of(sale, size) for _ in range(messages)], messages * size)

        return _Meter(function, x).curve(run, "message-size", "events a message", EVENTS_A_MESSAGE, load)


def _by_deliveries_in_flight(run: Run, x: FakeX) -> _Curve:
    with run.function(REAL, configuration(x_url=x.url)) as function:
        first_answer(function)  # which takes longer than a short run

        def load(at_once: int) -> Load:
            return lambda: wrk.check(wrk.run(function.url, connections=at_once, seconds=max(3.0, run.scaled(4))))

        meter = _Meter(function, x, quiet_s=_QUIET_AFTER_WRK_S)
        curve = meter.curve(run, "in-flight", "deliveries in flight", IN_FLIGHT, load)
    return replace(curve, note=f"Single-event deliveries, X at {X_LATENCY_S * 1e3:.0f} ms.")


def _by_pixels(run: Run, x: FakeX) -> _Curve:
    with run.function(REAL, configuration(x_url=x.url, pixels=max(PIXELS))) as function:
        function.ready()
        count = int(run.scaled(EVENTS))

        def load(pixels: int) -> Load:
            def sample(number: int) -> dict[str, object]:
                pixel = number % pixels
                return sale(number, pixel_id=f"p{pixel}" if pixel else PIXEL)

            return _pushing(function, [array_of(sample, count)], count)

        curve = _Meter(function, x).curve(run, "pixels", "pixels", PIXELS, load)
    return replace(curve, note=f"One message of {count:,} events, spread over the pixels; X answers at once.")


def _by_invalid_share(run: Run, x: FakeX) -> _Curve:
    with DeadLetterSink() as sink:
        asked = configuration(x_url=x.url, dead_letters=TOPIC)
        with run.function(REAL, asked, PUBSUB_EMULATOR_HOST=sink.address) as function:
            function.ready()
            count = int(run.scaled(EVENTS) / 10)

            def load(percent: int) -> Load:
                return _pushing(function, [array_of(_partly_invalid(percent), count) for _ in range(10)], 10 * count)

            curve = _Meter(function, x).curve(run, "invalid", "percent invalid", INVALID_PERCENT, load)
    note = "Invalid events have a name that no event tag belongs to; they end as dead letters, published by gRPC."
    return replace(curve, note=note)


def _partly_invalid(percent: int) -> Sample:
    def sample(number: int) -> dict[str, object]:
        # Spread evenly: 37 has no divisor in common with 100.
        return sale(number, **({"event": "no such event"} if number * 37 % 100 < percent else {}))

    return sample


def _pushing(function: FunctionServer, datas: Sequence[bytes], events: int) -> Load:
    bodies = [push_body(data) for data in datas]

    def load() -> int:
        push(function.port, iter(bodies), at_once=8)
        return events

    return load


def _result(curve: _Curve) -> Result:
    points = list(zip(curve.x, curve.y_us, curve.a_request, strict=True))
    first = curve.y_us[0]
    return Result(
        what=f"growth: {curve.what}",
        goal="cost per event flat or falling",
        measured=f"{first:.0f} → {curve.y_us[-1]:.0f} µs CPU an event",
        ratio=f"{curve.y_us[-1] / first:.2f} ×, rises {max(1.0, curve.rise):.2f} ×",
        verdict=judged(met=curve.rise <= FLAT_WITHIN),
        figures={"rise": curve.rise, **{f"us_at_{point}": cost for point, cost, _ in points}},
        tables=[
            Table(
                title=f"CPU time an event by {curve.x_title}",
                columns=(curve.x_title, "µs", "× the first", "events a request"),
                rows=[
                    (f"{point:,}", f"{cost:.1f}", f"{cost / first:.2f}", f"{shared:,.0f}" if shared else "")
                    for point, cost, shared in points
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
