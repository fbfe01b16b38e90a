"""Where the next input comes from: coverage (atheris), or what the inputs before did.

Atheris is LLVM's libFuzzer with Python's bytecode as its map: an input that reaches a new edge of `xcapi_core` is kept
and mutated on. Without it, an input is kept that makes a target *do* something new; that needs nothing besides Python,
and the same seed gives the same inputs everywhere.
"""

import os
import platform
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.cached_tools import installed
from tests.fuzz.inputs import load_corpus
from tests.fuzz.mutation import Mutator
from tests.fuzz.session import Session

__all__ = ["atheris_or_reason", "run_atheris", "run_plain"]

_MEMORY_MB = 2_048


def run_plain(session: Session, *, inputs: int, seconds: float, seed: int) -> None:
    """Mutate what has done something new, until so many inputs or seconds are over."""
    target = session.target
    mutator, chance = Mutator(target.words), random.Random(seed)
    ends = time.monotonic() + seconds
    pool = [*target.seeds(), *load_corpus(target.name)]
    for data in tuple(pool):
        if session.inputs < inputs and time.monotonic() < ends:
            session.take(data)
    while session.inputs < inputs and time.monotonic() < ends:
        data = mutator.mutate(chance.choice(pool), chance, chance.choice(pool))[: target.words.longest]
        if session.take(data):
            pool.append(data)


def run_atheris(session: Session, *, inputs: int, seconds: float, seed: int, found: Path) -> None:
    """Let libFuzzer look for new edges; what reaches one is kept in the folder `found`. Does not return."""
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415 - it is there only where somebody fuzzes

    target = session.target
    mutator = Mutator(target.words)
    ends = time.monotonic() + seconds

    def take(data: bytes) -> None:
        session.take(data)
        if session.inputs >= inputs or time.monotonic() > ends:
            session.write_report(done=True)
            os._exit(0)  # libFuzzer would go on, and counts its own way

    def mutate(data: bytes, max_size: int, step: int) -> bytes:
        return mutator.mutate(data, random.Random(step))[:max_size]

    def cross(one: bytes, other: bytes, max_size: int, step: int) -> bytes:
        return mutator.mutate(one, random.Random(step), other)[:max_size]

    with tempfile.TemporaryDirectory() as seeds:
        for number, data in enumerate([*target.seeds(), *load_corpus(target.name)]):
            (Path(seeds) / f"{number:05}").write_bytes(data[: target.words.longest])
        arguments = [
            "fuzz",
            str(found),
            seeds,
            f"-seed={seed}",
            f"-max_len={target.words.longest}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-artifact_prefix={found}-stopped-",
            "-len_control=0",
            "-timeout=60",
        ]
        atheris.Setup(arguments, take, custom_mutator=mutate, custom_crossover=cross)
        atheris.Fuzz()


def atheris_or_reason() -> Path | str:
    """Return the folder that atheris is in, put there by pip where it was not; else why it cannot be there."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "atheris has no wheels for this machine"
    return installed("atheris", Path(__file__).parent / "requirements.txt")
