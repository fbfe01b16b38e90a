"""First delivered event after process start, beside the no-op's first answer."""

import contextlib
import time

import msgspec

from tests.benchmarks.configuration import KEYS, configuration
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import FunctionServer
from tests.benchmarks.results import CannotMeasureError, Result, Table, judged
from tests.benchmarks.running import REAL, Run, medians
from tests.benchmarks.workload import next_number, push_body, sale
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["first_answer", "measure"]

GOAL = 2.0
STARTS = 5
SECRET = "projects/bench-project/secrets/x-ads-o8z6j"


def measure(run: Run) -> list[Result]:
    """Start no-op, function with keys in a file, function with keys in Secret Manager, in turn."""
    with FakeX() as x, LocalSecretManager() as secrets:
        secrets.put(SECRET, KEYS)
        asked = configuration(x_url=x.url, credentials=f"{SECRET}/versions/latest")
        contestants = {
            "no-op": lambda: _start(run.function("noop", configuration())),
            "keys in a file": lambda: _start(run.function(REAL, configuration(x_url=x.url))),
            "keys in Secret Manager": lambda: _start(
                run.function(REAL, asked, SECRET_MANAGER_EMULATOR_HOST=secrets.address)
            ),
        }
        took = medians(run.in_turn(contestants, rounds=max(STARTS, run.rounds) if not run.quick else 3))
    noop = took["no-op"]
    ratio = took["keys in Secret Manager"] / noop
    rows = [(name, f"{seconds * 1e3:.0f}", f"{seconds / noop:.2f}") for name, seconds in took.items()]
    return [
        Result(
            what="first delivered event after process start, keys in Secret Manager",
            goal=f"≤ {GOAL:g} × the no-op's first answer",
            measured=f"{took['keys in Secret Manager'] * 1e3:.0f} ms, no-op {noop * 1e3:.0f} ms",
            ratio=f"{ratio:.2f} ×",
            verdict=judged(met=ratio <= GOAL),
            figures={
                "ratio": ratio,
                "ratio_file_keys": took["keys in a file"] / noop,
                "first_event_ms": took["keys in Secret Manager"] * 1e3,
                "first_event_file_keys_ms": took["keys in a file"] * 1e3,
                "noop_first_answer_ms": noop * 1e3,
            },
            tables=[
                Table(
                    title="From starting the process to the first answer",
                    columns=("", "ms", "× no-op"),
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


def _start(server: FunctionServer) -> float:
    started = time.perf_counter()
    with server:
        first_answer(server)
        return time.perf_counter() - started
