"""What signatures cost, and how many there are."""

import json
import urllib.request

from tests.benchmarks import wrk
from tests.benchmarks.configuration import configuration
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import FunctionServer, cpu_s
from tests.benchmarks.pushing import push
from tests.benchmarks.results import Result, Table, judged
from tests.benchmarks.rows.starting import first_answer
from tests.benchmarks.running import Run
from tests.benchmarks.workload import array_of, push_body, sale

__all__ = ["measure"]

X_LATENCY_S = 0.2
# The load generator leaves in the middle: X has not counted yet what was signed last.
_QUIET_S = 0.8


def measure(run: Run) -> list[Result]:
    """Clock the signatures inside the function while packed messages, and then single events, are delivered."""
    run.need_wrk()
    messages = int(run.scaled(60))

    def packed(function: FunctionServer) -> None:
        push(function.port, (push_body(array_of(sale, 500)) for _ in range(messages)), at_once=8)

    def single(function: FunctionServer) -> None:
        wrk.check(wrk.run(function.url, connections=400, seconds=run.scaled(4)))

    loads = {
        "messages of 500 events, X at once": (0.0, packed),
        "400 single events at a time, X at 200 ms": (X_LATENCY_S, single),
    }
    rows, shares, worst = [], [], 0.0
    for name, (latency_s, load) in loads.items():
        run.say(name)
        with FakeX(latency_s=latency_s) as x, run.function("counting", configuration(x_url=x.url)) as function:
            first_answer(function)
            load(function)  # the first time imports and connects
            at_x, before, used = x.quiet_counts(_QUIET_S), _counts(function), cpu_s(function.pid)
            load(function)
            at_x = x.quiet_counts(_QUIET_S).since(at_x)
            used = cpu_s(function.pid) - used
            found = {key: value - before[key] for key, value in _counts(function).items()}
        each = found["signatures"] / at_x.requests
        worst = max(worst, each)
        shares.append(found["signing_s"] / used)
        rows.append(
            (
                name,
                f"{at_x.requests:,}",
                f"{each:.2f}",
                f"{found['signing_s'] / found['signatures'] * 1e6:.0f}",
                f"{found['signing_s'] / found['sending_s']:.0%}",
                f"{found['signing_s'] / used:.1%}",
            )
        )
    return [
        Result(
            what="signatures: their share of the time, and how many a request",
            goal="≤ 1 a request",
            measured=f"{worst:.2f} a request, {shares[0]:.1%} of all CPU time packed, {shares[1]:.1%} single",
            ratio=f"{worst:.2f}",
            verdict=judged(met=worst <= 1),
            figures={"per_request": worst, "cpu_share_packed": shares[0], "cpu_share_single": shares[1]},
            tables=[
                Table(
                    title="Signatures",
                    columns=("load", "requests", "a request", "µs each", "of the sending thread", "of all CPU time"),
                    rows=rows,
                    note="CPU time of requests-oauthlib's signing, within what `requests` takes to prepare and send.",
                )
            ],
        )
    ]


def _counts(function: FunctionServer) -> dict[str, float]:
    with urllib.request.urlopen(f"{function.url}counts", timeout=10) as answer:  # noqa: S310 - ours, on loopback
        counts: dict[str, float] = json.load(answer)
        return counts
