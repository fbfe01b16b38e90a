"""Beside the function that people write first: one signed request per message, synchronous, X at 200 ms."""

from functools import partial
from pathlib import Path

from tests.benchmarks import wrk
from tests.benchmarks.configuration import configuration
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import cores
from tests.benchmarks.results import CannotMeasureError, Result, Table, judged
from tests.benchmarks.rows.starting import first_answer
from tests.benchmarks.running import REAL, Run, medians

__all__ = ["measure"]

GOAL = 25
GOAL_A_REQUEST = 80
CONNECTIONS = 400
X_LATENCY_S = 0.2
ROUND_S = 6


def measure(run: Run) -> list[Result]:
    """Keep 400 single-event deliveries open at both, in turn, and count what X receives."""
    run.need_wrk()
    seconds = max(3.0, run.scaled(ROUND_S))
    per_request: list[float] = []
    rounds = min(run.rounds, 3)
    # The framework's default, for as many cores as there are here: a container sees those of its host too.
    threads = str(4 * max(1, len(cores())))

    def one(source: Path | str) -> float:
        # X and function anew each time: a synchronous one goes on for long with what it was given.
        with (
            FakeX(latency_s=X_LATENCY_S) as x,
            run.function(source, configuration(x_url=x.url), THREADS=threads) as function,
        ):
            first_answer(function)
            before = x.counts()
            load = wrk.run(function.url, connections=CONNECTIONS, seconds=seconds)
            counted = x.counts().since(before)
        if load.bad or not counted.requests:
            raise CannotMeasureError(f"{load.bad} deliveries were nacked, X saw {counted.requests} requests")
        if source is REAL:
            per_request.append(counted.events / counted.requests)
        return counted.events / load.seconds

    contestants: dict[str, Path | str] = {"ours": REAL, "first version": "first_version"}
    turns = {name: partial(one, source) for name, source in contestants.items()}
    found = run.in_turn(turns, rounds=rounds)
    rates = medians(found)
    ratio = rates["ours"] / rates["first version"]
    batch = medians({"": per_request[1:]})[""]
    return [
        Result(
            what="beside the function that people write first, X at 200 ms",
            goal=f"≥ {GOAL} ×",
            measured=f"{rates['ours']:,.0f} events/s, theirs {rates['first version']:,.0f}",
            ratio=f"{ratio:.1f} ×",
            verdict=judged(met=ratio >= GOAL),
            figures={
                "ratio": ratio,
                "events_per_s": rates["ours"],
                "first_version_events_per_s": rates["first version"],
            },
            tables=[
                Table(
                    title=f"{CONNECTIONS} single-event deliveries at a time, X at 200 ms",
                    columns=("", "events/s", "events a request"),
                    rows=[
                        ("ours", f"{rates['ours']:,.0f}", f"{batch:.0f}"),
                        ("one signed request per message, sync", f"{rates['first version']:,.0f}", "1"),
                    ],
                    note=f"The synchronous one has the framework's default of 4 threads a core, {threads}.",
                )
            ],
        ),
        Result(
            what="events a request, 400 concurrent single-event deliveries, X at 200 ms",
            goal=f"≥ {GOAL_A_REQUEST}",
            measured=f"{batch:.0f}",
            ratio=f"{batch / GOAL_A_REQUEST:.1f} of the goal",
            verdict=judged(met=batch >= GOAL_A_REQUEST),
            figures={"events_per_request": batch},
        ),
    ]
