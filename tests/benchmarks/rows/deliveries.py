"""Single-event deliveries, all but the POST, beside the framework's own no-op under the same load."""

from functools import partial

from tests.benchmarks import wrk
from tests.benchmarks.configuration import configuration
from tests.benchmarks.processes import FunctionServer, cpu_s
from tests.benchmarks.results import Result, Table, judged
from tests.benchmarks.running import Run, medians

__all__ = ["measure"]

GOAL = 0.75
CONNECTIONS = 64
ROUND_S = 3


def measure(run: Run) -> list[Result]:
    """Give both the same deliveries, in turn, one core for the function and one for the load generator.

    The rate that counts is that of a core of the function's own: requests by CPU second. Where the generator is the
    slower of the two, the wall clock would praise whatever it waits for.
    """
    run.need_wrk()
    seconds = max(1.0, run.scaled(ROUND_S))
    walls: dict[str, list[float]] = {"no-op": [], "ours": []}
    latencies: dict[str, list[float]] = {"no-op": [], "ours": []}
    busy: dict[str, list[float]] = {"no-op": [], "ours": []}

    def one(name: str, server: FunctionServer) -> float:
        before = cpu_s(server.pid)
        load = wrk.run(server.url, connections=CONNECTIONS, seconds=seconds)
        wrk.check(load)
        used = cpu_s(server.pid) - before
        walls[name].append(load.rate)
        latencies[name].append(load.p50_ms)
        busy[name].append(used / load.seconds)
        return load.requests / used

    with (
        run.function("noop", configuration()) as noop,
        run.function("answering", configuration()) as ours,
    ):
        servers = {"no-op": noop.ready(), "ours": ours.ready()}
        found = run.in_turn({name: partial(one, name, server) for name, server in servers.items()})
    rates = medians(found)
    wall, p50, share = medians(walls), medians(latencies), medians(busy)
    ratio = rates["ours"] / rates["no-op"]
    rows = [
        (
            name,
            f"{rates[name]:,.0f}",
            f"{1e6 / rates[name]:.0f}",
            f"{wall[name]:,.0f}",
            f"{share[name]:.0%}",
            f"{p50[name]:.1f}",
        )
        for name in servers
    ]
    return [
        Result(
            what="single-event deliveries, all but the POST, beside the no-op",
            goal=f"≥ {GOAL} of its rate",
            measured=f"{rates['ours']:,.0f}/s a core, no-op {rates['no-op']:,.0f}/s",
            ratio=f"{ratio:.2f}",
            verdict=judged(met=ratio >= GOAL),
            figures={
                "ratio": ratio,
                "ratio_wall": wall["ours"] / wall["no-op"],
                "ours_per_cpu_s": rates["ours"],
                "noop_per_cpu_s": rates["no-op"],
                "ours_per_s": wall["ours"],
                "noop_per_s": wall["no-op"],
            },
            tables=[
                Table(
                    title=f"Single-event deliveries, {CONNECTIONS} at a time, X answering inside the process",
                    columns=("", "a CPU second", "µs CPU each", "a second", "core busy", "p50 ms"),
                    rows=rows,
                    note="Well below 100 % busy: the load generator was the limit, which makes each body anew.",
                )
            ],
        )
    ]
