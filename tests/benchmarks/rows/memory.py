"""Memory of both processes, after the first event and under a stream of 10 MB messages."""

import threading
import time
from collections.abc import Iterator

import msgspec

from tests.benchmarks.configuration import KEYS, configuration
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import pss_bytes
from tests.benchmarks.pushing import Pushed, push
from tests.benchmarks.results import Plot, Result, Table, judged
from tests.benchmarks.rows.starting import SECRET, first_answer
from tests.benchmarks.running import REAL, Run
from tests.benchmarks.workload import next_number, push_body, sale
from xcapi_core.ledger import CAPACITY
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["measure"]

GOAL_FIRST_MB = 100
GOAL_STREAM_MB = 256
# What the last quarter's peak may be above the first's and still be called flat: one message's worth.
FLAT_WITHIN = 1.1
MESSAGE_BYTES = 10_000_000
AT_ONCE = 4
_SAMPLE_EVERY_S = 0.1
_POINTS = 60


def measure(run: Run) -> list[Result]:
    """Sample PSS ten times a second, with the keys in Secret Manager: gRPC is part of a deployment's memory.

    Before the stream the ledger is filled, which grows to 20 MB: a slow machine would do that in the middle of it.
    """
    with FakeX() as x, LocalSecretManager() as secrets:
        secrets.put(SECRET, KEYS)
        asked = configuration(x_url=x.url, credentials=f"{SECRET}/versions/latest")
        function = run.function(REAL, asked, SECRET_MANAGER_EMULATOR_HOST=secrets.address)
        with function:
            run.say("after the first event")
            first_answer(function)
            time.sleep(0.2)
            first_mb = pss_bytes(function.pid) / 1e6
            run.say("filling the ledger")
            filling = (_body() for _ in range(-(-CAPACITY // len(_template_numbers()))))
            push(function.port, filling, at_once=AT_ONCE, may_nack=True)
            samples, pushed = _stream(run, function.pid, function.port)
    quarter = max(1, len(samples) // 4)
    first, last = max(samples[:quarter]), max(samples[-quarter:])
    peak = max(samples)
    flat = last <= first * FLAT_WITHIN
    events = pushed.acked * len(_template_numbers())
    step = max(1, len(samples) // _POINTS)
    shown = [max(samples[place : place + step]) for place in range(0, len(samples), step)]
    return [
        Result(
            what="memory after the first event, PSS over both processes",
            goal=f"≤ {GOAL_FIRST_MB} MB",
            measured=f"{first_mb:.0f} MB",
            ratio=f"{first_mb / GOAL_FIRST_MB:.2f} of the goal",
            verdict=judged(met=first_mb <= GOAL_FIRST_MB),
            figures={"pss_mb": first_mb},
        ),
        Result(
            what=f"memory under a stream of 10 MB messages, {AT_ONCE} at a time, {run.memory_s:.0f} s",
            goal=f"≤ {GOAL_STREAM_MB} MB, flat",
            measured=f"peak {peak:.0f} MB, {first:.0f} → {last:.0f} MB",
            ratio=f"{peak / GOAL_STREAM_MB:.2f} of the goal",
            verdict=judged(met=peak <= GOAL_STREAM_MB and flat),
            figures={
                "peak_mb": peak,
                "first_quarter_peak_mb": first,
                "last_quarter_peak_mb": last,
                "messages": pushed.acked,
            },
            tables=[
                Table(
                    title="PSS while 10 MB messages are pushed",
                    columns=("", "MB"),
                    rows=[
                        ("after the first event", f"{first_mb:.0f}"),
                        ("peak in the first quarter", f"{first:.0f}"),
                        ("peak in the last quarter", f"{last:.0f}"),
                        ("median", f"{sorted(samples)[len(samples) // 2]:.0f}"),
                    ],
                    note=f"{pushed.acked} messages of {events:,} events acked; {pushed.nacked} nacks, memory full.",
                )
            ],
            plots=[
                Plot(
                    name="memory",
                    title="PSS under a stream of 10 MB messages",
                    x_title="seconds",
                    y_title="MB",
                    x=[f"{place * step * pushed.seconds / len(samples):.0f}" for place in range(len(shown))],
                    y=shown,
                )
            ],
        ),
    ]


def _stream(run: Run, pid: int, port: int) -> tuple[list[float], Pushed]:
    samples: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_SAMPLE_EVERY_S):
            samples.append(pss_bytes(pid) / 1e6)
            run.say(f"10 MB messages, {samples[-1]:.0f} MB")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        pushed = push(port, _bodies(time.monotonic() + run.memory_s), at_once=AT_ONCE, may_nack=True)
    finally:
        over.set()
        watcher.join()
    return samples, pushed


def _bodies(until: float) -> Iterator[bytes]:
    """Make new messages as they are wanted; a second's work for the function is 30 ms here."""
    while time.monotonic() < until:
        yield _body()


def _template_numbers() -> range:
    one = len(_event(0)) + 1
    return range(MESSAGE_BYTES // one)


def _event(number: int) -> bytes:
    return msgspec.json.encode(sale(number))


def _body() -> bytes:
    count = len(_template_numbers())
    first = next_number(count)
    mark = b"000000000000"
    template = _event(0).replace(b"%", b"%%").replace(mark, b"%012d")
    repeated = template.count(b"%012d")
    events = (template % ((number,) * repeated) for number in range(first, first + count))
    return push_body(b"[" + b",".join(events) + b"]")
