"""Single-event deliveries, all but the POST, beside the least that any function of this kind must do."""

from contextlib import ExitStack
from functools import partial

from tests.benchmarks import wrk
from tests.benchmarks.configuration import configuration
from tests.benchmarks.processes import cpu_s
from tests.benchmarks.results import Result, Table, judged
from tests.benchmarks.rows.starting import first_answer
from tests.benchmarks.running import Run, medians

__all__ = ["measure"]

# The rest is the rules, the ledger, the time limits and the log.
GOAL = 0.6
CONNECTIONS = 256
ROUND_S = 3
NOOP, LEAST, OURS, OURS_LATER = "no-op", "the least", "ours, X at once", "ours, X at 50 ms"


def measure(run: Run) -> list[Result]:
    """Give all of them the same deliveries, in turn, one core for the function and one for the load generator.

    The rate that counts is that of a core of the function's own: requests by CPU second. Where the generator is the
    slower of the two, or another program wants the core, the wall clock would measure that.
    """
    run.need_wrk()
    seconds = max(1.0, run.scaled(ROUND_S))
    sources = {NOOP: ("noop", "0"), LEAST: ("least", "0"), OURS: ("answering", "0"), OURS_LATER: ("answering", "0.05")}
    walls: dict[str, list[float]] = {name: [] for name in sources}
    busy: dict[str, list[float]] = {name: [] for name in sources}

    def one(name: str) -> float:
        server = servers[name]
        used = cpu_s(server.pid)
        load = wrk.run(server.url, connections=CONNECTIONS, seconds=seconds)
        wrk.check(load)
        used = cpu_s(server.pid) - used
        walls[name].append(load.rate)
        busy[name].append(used / load.seconds)
        return load.requests / used

    with ExitStack() as running:
        servers = {
            name: running.enter_context(run.function(source, configuration(), BENCH_X_LATENCY_S=latency)).ready()
            for name, (source, latency) in sources.items()
        }
        for server in servers.values():
            first_answer(server)
        rates = medians(run.in_turn({name: partial(one, name) for name in sources}))
    wall, share = medians(walls), medians(busy)
    ratios = {name: rate / rates[NOOP] for name, rate in rates.items()}
    to_the_least = rates[OURS] / rates[LEAST]
    rows = [
        (
            name,
            f"{rates[name]:,.0f}",
            f"{ratios[name]:.2f}",
            f"{1e6 / rates[name]:.0f}",
            f"{wall[name]:,.0f}",
            f"{share[name]:.0%}",
        )
        for name in sources
    ]
    return [
        Result(
            what="single-event deliveries, all but the POST, beside the least that any function must do",
            goal=f"≥ {GOAL} of its rate",
            measured=f"{rates[OURS]:,.0f}/s a core, the least {rates[LEAST]:,.0f}/s, no-op {rates[NOOP]:,.0f}/s",
            ratio=f"{to_the_least:.2f}",
            verdict=judged(met=to_the_least >= GOAL),
            figures={
                "ratio": ratios[OURS],
                "ratio_x_at_50_ms": ratios[OURS_LATER],
                "ratio_of_the_least": ratios[LEAST],
                "ratio_to_the_least": to_the_least,
                "ratio_wall": wall[OURS] / wall[NOOP],
                "ours_per_cpu_s": rates[OURS],
                "noop_per_cpu_s": rates[NOOP],
                "least_per_cpu_s": rates[LEAST],
                "ours_per_s": wall[OURS],
                "noop_per_s": wall[NOOP],
            },
            tables=[
                Table(
                    title=f"Single-event deliveries, {CONNECTIONS} at a time, X answering inside the process",
                    columns=("", "a CPU second", "× no-op", "µs CPU each", "a second", "core busy"),
                    rows=rows,
                    note="The least is what no function can leave out that gathers events into requests: both "
                    "documents decoded, an address hashed, one future awaited; no rules, ledger, time limits or log. "
                    "Well below 100 % busy: the load generator, or another program, was the limit, or X's 50 ms.",
                )
            ],
        )
    ]
