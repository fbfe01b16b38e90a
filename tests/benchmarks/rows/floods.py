"""The worker's memory under floods of events, and how long others wait while a large message of bad ones is read."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.benchmarks.configuration import configuration
from tests.benchmarks.dead_letters import TOPIC, DeadLetterSink
from tests.benchmarks.fake_x import FakeX
from tests.benchmarks.processes import FunctionServer, family
from tests.benchmarks.results import CannotMeasureError, Result, Table, judged
from tests.benchmarks.running import REAL, Run
from tests.benchmarks.workload import array_of, push_body, sale
from tests.e2e.push import Answer, post

__all__ = ["measure"]

# An instance has 512 MiB.
GOAL_WORKER_MB = 420
GOAL_WAIT_S = 1.5
RUBBISH_MESSAGES, RUBBISH_ELEMENTS = 8, 350_000
VALID_MESSAGES, VALID_EVENTS = 200, 4_000
# With request_timeout_s at 5, that is never.
_HANG_S = 60.0
_LARGE_BYTES = 9_500_000
_A_WHILE_S = 0.02


def measure(run: Run) -> list[Result]:
    """Push each flood at a function of its own, and single events beside it."""
    return [_rubbish(run), _valid_while_x_hangs(run), _waits_beside_bad_events(run)]


def _rubbish(run: Run) -> Result:
    data = b"[" + b"1," * (RUBBISH_ELEMENTS - 1) + b"1]"
    run.say("rubbish elements")
    with _function(run) as function:
        answers, waits = asyncio.run(_beside(function, [data] * RUBBISH_MESSAGES))
        peak_mb = _peak_mb(function)
    return _memory(
        f"memory of the worker, {RUBBISH_MESSAGES} messages of {RUBBISH_ELEMENTS:,} rubbish elements at once",
        peak_mb,
        answers,
        waits,
    )


def _valid_while_x_hangs(run: Run) -> Result:
    messages = [array_of(sale, VALID_EVENTS) for _ in range(VALID_MESSAGES)]
    run.say("valid events while X hangs")
    with _function(run, x_hangs=True) as function:
        answers = asyncio.run(_push_all(function, messages))
        peak_mb = _peak_mb(function)
    return _memory(
        f"memory of the worker, {VALID_MESSAGES} messages of {VALID_EVENTS:,} valid events while X hangs",
        peak_mb,
        answers,
        [],
    )


def _waits_beside_bad_events(run: Run) -> Result:
    bad = [msgspec.json.encode(sale(number, email="no-address", twclid="", value="much")) for number in range(100)]
    data = b"[" + b",".join(bad * (_LARGE_BYTES // (sum(map(len, bad)) + len(bad)))) + b"]"
    run.say("10 MB of bad events")
    beside, alone = 0.0, 0.0
    with _function(run) as function:
        for _ in range(run.rounds):
            answers, waits = asyncio.run(_beside(function, [data]))
            if answers[0].status != 204:
                raise CannotMeasureError(f"the function answered {answers[0].status} to a message of bad events")
            beside = max(beside, *waits)
            alone = max(alone, *asyncio.run(_alone(function, len(waits))))
    return Result(
        what="longest wait of a single event while a 10 MB message of bad events is read",
        goal=f"≤ {GOAL_WAIT_S} s",
        measured=f"{beside:.2f} s, without it {alone:.2f} s",
        ratio=f"{beside / GOAL_WAIT_S:.2f} of the goal",
        verdict=judged(met=beside <= GOAL_WAIT_S),
        figures={"longest_wait_s": beside, "longest_wait_alone_s": alone},
    )


def _memory(what: str, peak_mb: float, answers: list[Answer], waits: list[float]) -> Result:
    statuses = [answer.status for answer in answers]
    rows = [(f"answered {status}", f"{statuses.count(status)}") for status in sorted(set(statuses))]
    if waits:
        rows.append(("longest wait of a single event beside them, s", f"{max(waits):.2f}"))
    return Result(
        what=what,
        goal=f"≤ {GOAL_WORKER_MB} MB",
        measured=f"peak {peak_mb:.0f} MB",
        ratio=f"{peak_mb / GOAL_WORKER_MB:.2f} of the goal",
        verdict=judged(met=peak_mb <= GOAL_WORKER_MB),
        figures={"peak_mb": peak_mb},
        tables=[Table(title=what[0].upper() + what[1:], columns=("", ""), rows=rows)],
    )


@contextmanager
def _function(run: Run, *, x_hangs: bool = False) -> Iterator[FunctionServer]:
    with FakeX(latency_s=_HANG_S if x_hangs else 0.0) as x, DeadLetterSink() as dead_letters:
        asked = configuration(
            x_url=x.url, dead_letters=TOPIC, request_timeout_s=5, settle_timeout_s=12 if x_hangs else 50
        )
        with run.function(REAL, asked, PUBSUB_EMULATOR_HOST=dead_letters.address) as function:
            yield function.ready()


async def _beside(function: FunctionServer, messages: list[bytes]) -> tuple[list[Answer], list[float]]:
    """Push messages at once, and single events one after the other until all have their answers."""
    first = await _single(function)
    if first.status != 204:
        raise CannotMeasureError(f"the function answered {first.status} to a good event")
    large = asyncio.create_task(_push_all(function, messages))
    waits = []
    while not large.done():
        waits.append((await _single(function)).seconds)
        await asyncio.sleep(_A_WHILE_S)
    return await large, waits


async def _alone(function: FunctionServer, count: int) -> list[float]:
    waits = []
    for _ in range(count):
        waits.append((await _single(function)).seconds)
        await asyncio.sleep(_A_WHILE_S)
    return waits


async def _push_all(function: FunctionServer, messages: list[bytes]) -> list[Answer]:
    return list(await asyncio.gather(*(post(function.url, push_body(data)) for data in messages)))


async def _single(function: FunctionServer) -> Answer:
    return await post(function.url, push_body(array_of(sale, 1)))


def _peak_mb(function: FunctionServer) -> float:
    """Return the most that the worker, the arbiter's child, ever held."""
    _, worker = family(function.pid)[:2]
    for line in Path(f"/proc/{worker}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise CannotMeasureError("this system does not tell a process's peak of memory")
