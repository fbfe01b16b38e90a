"""What a row is told: how often, how long, where to say what happens."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.benchmarks import wrk
from tests.benchmarks.processes import FUNCTIONS, FunctionServer, function_venv
from tests.benchmarks.results import Result
from xcapi_core.sandbox.services.function_venv import FunctionVenv, InstallStep

__all__ = ["REAL", "Measure", "Run", "medians"]

REAL = FUNCTIONS.parents[2] / "main.py"


@dataclass(kw_only=True)
class Run:
    """One run of the benchmark. `quick` asks for a third of the load, for a first impression."""

    rounds: int
    quick: bool
    memory_s: float
    say: Callable[[str], None]
    note: Callable[[str], None]

    def scaled(self, count: float) -> float:
        """Return a count, a duration or a size, smaller in a quick run."""
        return count / 3 if self.quick else count

    def function(self, source: Path | str, configuration: str, **environment: str) -> FunctionServer:
        """Return a function to start: `source` is a path, or a name in tests/benchmarks/functions."""
        path = FUNCTIONS / f"{source}.py" if isinstance(source, str) else source
        return FunctionServer(self._venv, path, configuration, more=environment)

    def need_wrk(self) -> None:
        """Install the load generator where it is missing. Raises CannotMeasureError."""
        wrk.install(self.note)

    def in_turn(
        self, contestants: Mapping[str, Callable[[], float]], *, rounds: int | None = None
    ) -> dict[str, list[float]]:
        """Run the contestants A B A B …, once to warm up and then so many rounds; return each one's figures."""
        found: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range((rounds or self.rounds) + 1):
            for name, contestant in contestants.items():
                self.say(f"{name}, " + (f"round {number} of {rounds or self.rounds}" if number else "warming up"))
                figure = contestant()
                if number:
                    found[name].append(figure)
        return found

    @cached_property
    def _venv(self) -> FunctionVenv:
        said: list[str] = []

        def making(step: InstallStep) -> None:
            if not said:
                self.note("Making the function's environment from requirements.txt, once …")
            said.append(step.doing)
            self.say(f"the function's environment: {step.doing}")

        return function_venv(making)


Measure = Callable[[Run], list[Result]]


def medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    """Return each one's median."""
    return {name: statistics.median(figures) for name, figures in found.items()}
