"""What a million events cost: CPU seconds, and the platform's price of them."""

from collections.abc import Callable

from tests.benchmarks import wrk
from tests.benchmarks.configuration import configuration
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import FunctionServer, cpu_s
from tests.benchmarks.pushing import push
from tests.benchmarks.results import CannotMeasureError, Result, Table
from tests.benchmarks.rows.starting import first_answer
from tests.benchmarks.running import REAL, Run, medians
from tests.benchmarks.workload import array_of, push_body, sale

__all__ = ["measure"]

# US dollars. Google, "Cloud Run pricing": tier 1, billed by request, beyond the free tier, as of 2026.
VCPU_S, GIB_S, REQUEST = 0.000024, 0.0000025, 0.40 / 1e6
# The instance that Terraform makes by default: 1 vCPU, 1 GiB. It is billed while any request is open.
INSTANCE_S = 1 * VCPU_S + 1 * GIB_S
# X takes 60,000 events in 15 minutes, so a million keep an instance open for so long.
X_LIMIT_S = 1_000_000 / (60_000 / 900)
MILLION = 1_000_000

EVENTS_A_MESSAGE = 1_000
MESSAGES = 48
CONNECTIONS = 400
X_LATENCY_S = 0.2
ROUND_S = 6


def measure(run: Run) -> list[Result]:
    """Measure the real function's process, signatures and X's answers included, as events come packed and alone."""
    run.need_wrk()
    packed_s = _cpu_s_an_event(run, "messages of 1,000 events", _push, latency_s=0)
    single_s = _cpu_s_an_event(run, "one event a message", _load, latency_s=X_LATENCY_S)
    rows = [
        _row(f"messages of {EVENTS_A_MESSAGE:,} events", packed_s, MILLION // EVENTS_A_MESSAGE),
        _row(f"one event a message, {CONNECTIONS} at a time", single_s, MILLION),
    ]
    return [
        Result(
            what="a million events: CPU seconds, and their price on Cloud Run",
            goal="",
            measured=f"packed {packed_s * MILLION:.0f} s, {rows[0][4]}; one a message {single_s * MILLION:.0f} s, "
            f"{rows[1][4]}",
            figures={"cpu_us_packed": packed_s * 1e6, "cpu_us_single": single_s * 1e6},
            tables=[
                Table(
                    title="A million events",
                    columns=("", "CPU seconds", "their price", "requests", "together", "at X's limit"),
                    rows=rows,
                    note=f"US dollars: {VCPU_S * 1e6:g} a million vCPU-seconds, {GIB_S * 1e6:g} a million GiB-seconds, "
                    f"{REQUEST * 1e6:.2f} a million requests (Cloud Run, tier 1, billed by request, without the free "
                    "tier), 1 vCPU and 1 GiB. An instance is billed while any request is open, so the price of its CPU "
                    "time is the least. The last column is the most: X takes 67 events a second, and an instance that "
                    f"is never idle is open for {X_LIMIT_S:,.0f} s.",
                )
            ],
        )
    ]


def _row(name: str, cpu_s_an_event: float, requests: int) -> tuple[str, ...]:
    seconds = cpu_s_an_event * MILLION
    price, of_requests = seconds * INSTANCE_S, requests * REQUEST
    at_limit = X_LIMIT_S * INSTANCE_S + of_requests
    return (
        name,
        f"{seconds:,.0f}",
        f"${price:.4f}",
        f"${of_requests:.4f}",
        f"${price + of_requests:.3f}",
        f"${at_limit:.2f}",
    )


def _cpu_s_an_event(run: Run, name: str, load: Callable[[Run, FunctionServer], None], *, latency_s: float) -> float:
    with FakeX(latency_s=latency_s) as x, run.function(REAL, configuration(x_url=x.url)) as function:
        first_answer(function)

        def one() -> float:
            at_x, used = x.counts(), cpu_s(function.pid)
            load(run, function)
            events = x.counts().since(at_x).events
            if not events:
                raise CannotMeasureError("X received nothing")
            return (cpu_s(function.pid) - used) / events

        return medians(run.in_turn({name: one}, rounds=min(run.rounds, 3)))[name]


def _push(run: Run, function: FunctionServer) -> None:
    bodies = [push_body(array_of(sale, EVENTS_A_MESSAGE)) for _ in range(int(run.scaled(MESSAGES)))]
    push(function.port, iter(bodies), at_once=8)


def _load(run: Run, function: FunctionServer) -> None:
    wrk.check(wrk.run(function.url, connections=CONNECTIONS, seconds=max(3.0, run.scaled(ROUND_S))))
