"""Packed messages through the real function process, X answering at once."""

from tests.benchmarks.configuration import configuration
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import cpu_s
from tests.benchmarks.pushing import push
from tests.benchmarks.results import CannotMeasureError, Result, Table, judged
from tests.benchmarks.running import REAL, Run, medians
from tests.benchmarks.workload import array_of, push_body, sale

__all__ = ["measure"]

GOAL = 50_000
EVENTS_A_MESSAGE = 1_000
MESSAGES = 48
AT_ONCE = 8


def measure(run: Run) -> list[Result]:
    """Push messages, several at a time; HTTP in, signed HTTP out over loopback to a small X in another process."""
    messages = int(run.scaled(MESSAGES))
    events = messages * EVENTS_A_MESSAGE
    by_cpu: list[float] = []
    with FakeX() as x, run.function(REAL, configuration(x_url=x.url)) as function:
        function.ready()

        def one() -> float:
            bodies = [push_body(array_of(sale, EVENTS_A_MESSAGE)) for _ in range(messages)]
            at_x, used = x.counts(), cpu_s(function.pid)
            pushed = push(function.port, iter(bodies), at_once=AT_ONCE)
            by_cpu.append((cpu_s(function.pid) - used) / events)
            if x.counts().since(at_x).events != events:
                raise CannotMeasureError("X did not receive what was pushed")
            return events / pushed.seconds

        rate = medians(run.in_turn({"packed messages": one}))["packed messages"]
    cpu = medians({"": by_cpu[1:]})[""]
    return [
        Result(
            what="packed messages end to end, X's answers immediate",
            goal=f"≥ {GOAL:,} events/s",
            measured=f"{rate:,.0f} events/s; {1 / cpu:,.0f} by CPU second",
            ratio=f"{rate / GOAL:.2f} of the goal",
            verdict=judged(met=rate >= GOAL),
            figures={"events_per_s": rate, "events_per_cpu_s": 1 / cpu, "cpu_us_per_event": cpu * 1e6},
            tables=[
                Table(
                    title=f"{messages} messages of {EVENTS_A_MESSAGE:,} events, {AT_ONCE} at a time",
                    columns=("", "events/s", "µs CPU an event"),
                    rows=[("HTTP in, signed HTTP out", f"{rate:,.0f}", f"{cpu * 1e6:.1f}")],
                    note="X is a minimal server in a process of its own on the other core, beside the pusher.",
                )
            ],
        )
    ]
