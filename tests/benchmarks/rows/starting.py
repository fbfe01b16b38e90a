"""First delivered event after process start, beside the no-op's first answer."""

import contextlib
import time
from functools import partial
from pathlib import Path

import msgspec

from tests.benchmarks.configuration import KEYS, configuration
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import FunctionServer, cpu_s
from tests.benchmarks.results import CannotMeasureError, Result, Table, judged
from tests.benchmarks.running import REAL, Run, medians
from tests.benchmarks.workload import next_number, push_body, sale
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["first_answer", "measure"]

GOAL = 2.0
STARTS, QUICK_STARTS = 7, 3
NOOP, IN_FILE, IN_SECRETS = "no-op", "keys in a file", "keys in Secret Manager"
SECRET = "projects/bench-project/secrets/x-ads-o8z6j"


def measure(run: Run) -> list[Result]:
    """Start no-op, function with keys in a file, function with keys in Secret Manager, in turn."""
    used: dict[str, list[float]] = {NOOP: [], IN_FILE: [], IN_SECRETS: []}

    def start(name: str, source: Path | str, keys: str | None, **environment: str) -> float:
        server = run.function(source, configuration(x_url=x.url, credentials=keys), **environment)
        started = time.perf_counter()
        with server:
            first_answer(server)
            took_s = time.perf_counter() - started
            used[name].append(cpu_s(server.pid))
        return took_s

    with FakeX() as x, LocalSecretManager() as secrets:
        secrets.put(SECRET, KEYS)
        emulator = {"SECRET_MANAGER_EMULATOR_HOST": secrets.address}
        contestants = {
            NOOP: partial(start, NOOP, "noop", None),
            IN_FILE: partial(start, IN_FILE, REAL, None),
            IN_SECRETS: partial(start, IN_SECRETS, REAL, f"{SECRET}/versions/latest", **emulator),
        }
        took = medians(run.in_turn(contestants, rounds=QUICK_STARTS if run.quick else max(STARTS, run.rounds)))
    cpu = medians({name: figures[1:] for name, figures in used.items()})
    ratios = {name: seconds / took[NOOP] for name, seconds in took.items()}
    cpu_ratios = {name: seconds / cpu[NOOP] for name, seconds in cpu.items()}
    rows = [
        (name, f"{took[name] * 1e3:.0f}", f"{ratios[name]:.2f}", f"{cpu[name] * 1e3:.0f}", f"{cpu_ratios[name]:.2f}")
        for name in took
    ]
    return [
        Result(
            what=f"first delivered event after process start, {IN_SECRETS}",
            goal=f"≤ {GOAL:g} × the no-op's first answer",
            measured=f"{took[IN_SECRETS] * 1e3:.0f} ms, no-op {took[NOOP] * 1e3:.0f} ms",
            ratio=f"{ratios[IN_SECRETS]:.2f} ×",
            verdict=judged(met=ratios[IN_SECRETS] <= GOAL),
            figures={
                "ratio": ratios[IN_SECRETS],
                "ratio_file_keys": ratios[IN_FILE],
                "ratio_cpu": cpu_ratios[IN_SECRETS],
                "ratio_cpu_file_keys": cpu_ratios[IN_FILE],
                "first_event_ms": took[IN_SECRETS] * 1e3,
                "first_event_file_keys_ms": took[IN_FILE] * 1e3,
                "noop_first_answer_ms": took[NOOP] * 1e3,
            },
            tables=[
                Table(
                    title="From starting the process to the first answer",
                    columns=("", "ms", "× no-op", "ms CPU", "× no-op"),
                    rows=rows,
                    note="Packages are compiled and in the page cache. Secret Manager speaks gRPC on loopback.",
                )
            ],
        )
    ]


def first_answer(server: FunctionServer) -> None:
    """Push one event as soon as somebody listens, and wait for its ack. Raises CannotMeasureError."""
    body = push_body(msgspec.json.encode(sale(next_number())))
    with contextlib.closing(server.connect(server.port)) as connection:
        connection.settimeout(30)
        head = (
            f"POST / HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            connection.sendall(head.encode() + body)
            answer = connection.recv(4_096)
        except OSError as error:
            raise CannotMeasureError(f"the function gave no first answer: {server.last_words}") from error
    if b" 204 " not in answer[:16]:
        raise CannotMeasureError(f"the first event was not acked; the function's last words: {server.last_words}")
