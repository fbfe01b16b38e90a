"""The load generator: wrk, which is found, or installed and said so, and run on the second core."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import on_core
from tests.benchmarks.results import CannotMeasureError
from tests.benchmarks.workload import Sample, delivery_pieces, sale

__all__ = ["Load", "check", "install", "run"]

_SCRIPT = Path(__file__).parent / "deliveries.lua"
# More than any run sends, so that the numbers of two runs never meet.
_NUMBERS_A_RUN = 10_000_000
_BY_HAND = "install wrk (Debian and Ubuntu: apt-get install wrk; macOS: brew install wrk) and run this again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk counted in one run."""

    requests: int
    seconds: float
    bad: int
    lost: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def install(say: Callable[[str], None]) -> str:
    """Return where wrk is; install it with apt, as root or by sudo without a password. Raises CannotMeasureError."""
    if found := shutil.which("wrk"):
        return found
    if not shutil.which("apt-get"):
        raise CannotMeasureError(f"the load generator wrk is missing: {_BY_HAND}")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    say("Installing the load generator wrk with apt-get …")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "wrk"]):
        try:
            done = subprocess.run(
                [*as_root, "apt-get", *command], env=environment, capture_output=True, text=True, check=False
            )
        except OSError:
            raise CannotMeasureError(f"wrk cannot be installed without sudo: {_BY_HAND}") from None
        if done.returncode:
            words = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise CannotMeasureError(f"apt-get could not install wrk ({words}): {_BY_HAND}")
    return shutil.which("wrk") or "/usr/bin/wrk"


_runs = 0


def run(url: str, *, connections: int, seconds: float, sample: Sample = sale) -> Load:
    """Push single-event deliveries for so long, so many at a time. Raises CannotMeasureError."""
    global _runs  # noqa: PLW0603 - numbers go on from run to run
    _runs += 1
    with tempfile.NamedTemporaryFile("w", suffix=".pieces") as pieces:
        pieces.write(delivery_pieces(sample))
        pieces.flush()
        command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={max(1, round(seconds))}s"]
        command += ["--timeout=60s", f"--script={_SCRIPT}", url, "--", pieces.name, str(_runs * _NUMBERS_A_RUN)]
        with on_core(-1):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.stderr.write(done.stderr)
        raise CannotMeasureError("wrk ended without a result")
    return Load(**json.loads(lines[-1]))


def check(load: Load) -> None:
    """Raise CannotMeasureError unless every delivery was acked."""
    if load.bad or load.lost or not load.requests:
        raise CannotMeasureError(f"of {load.requests} deliveries {load.bad} were nacked and {load.lost} lost")
