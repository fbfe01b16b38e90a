"""`python -m tests.mutants [MODULE…]`: break a module a little, many times, and tell which breaks no test sees."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cached_tools import ROOT, installed
from tests.mutants.mutating import Mutant, mutants_of
from tests.mutants.trying import End, start, verdict

__all__ = ["MODULES", "file_of", "main"]

# Each module with the unit tests that are about it, the quickest first.
MODULES: Mapping[str, tuple[str, ...]] = {
    "outcomes": ("tests/test_outcomes.py", "tests/x_api/test_status_table.py"),
    "x_api.batch_size": ("tests/x_api/test_batch_size.py",),
    "x_api.bisection": ("tests/x_api/test_bisection.py",),
    "x_api.errors": ("tests/x_api/test_errors.py",),
    "events.identifiers": ("tests/events/test_identifiers.py", "tests/events/test_cases.py"),
    "conversions": ("tests/test_conversions.py",),
    "ledger": ("tests/test_ledger.py",),
    "origins": ("tests/test_origins.py",),
    "x_api.pause": ("tests/x_api/test_pause.py", "tests/x_api/test_batcher_times.py", "tests/x_api/test_batcher.py"),
    "x_api.rate_hints": ("tests/x_api/test_rate_hints.py",),
    "x_api.rate_limiter": ("tests/x_api/test_rate_limiter.py",),
    "x_api.batcher": ("tests/x_api/test_batcher_times.py", "tests/x_api/test_batcher.py"),
    "x_api.queue": ("tests/x_api/test_queue.py", "tests/x_api/test_batcher.py"),
    "events.consent_objects": ("tests/events/test_consent.py",),
    "events.consent_signals": ("tests/events/test_consent.py", "tests/events/test_never_sent.py"),
}
_FLOOR_PERCENT = 90
_HERE = Path(__file__).parent
_LEAST_LIMIT_S = 3  # of processor time


@dataclass
class _Score:
    module: str
    killed: int = 0
    equivalent: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """Of those that a test could kill."""
        return 100 * self.killed / max(1, self.killed + len(self.survivors))


def main(arguments: Sequence[str]) -> int:
    """Try all mutants of the modules; 1 where less than 90 % of one's are killed."""
    parser = argparse.ArgumentParser(prog="make mutants ARGS=…", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many mutants at once")
    parser.add_argument("--list", action="store_true", help="name the equivalent ones too")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.modules if name not in MODULES]:
        parser.error(f"no module {', '.join(unknown)}; there are {', '.join(MODULES)}")
    tool = installed("cosmic-ray", _HERE / "requirements.txt")
    if isinstance(tool, str):
        sys.stderr.write(f"Cosmic Ray cannot be installed: {tool}\n")
        return 2
    sys.path.append(str(tool))
    os.chdir(ROOT)
    scores = []
    for name in options.modules or MODULES:
        score = _try_all(name, options.jobs)
        if score is None:
            sys.stderr.write(f"{name}: its tests fail as it is\n")
            return 2
        scores.append(score)
    sys.stdout.write(f"\n{_table(scores)}\n")
    return 0 if all(score.percent >= _FLOOR_PERCENT for score in scores) else 1


def file_of(module: str) -> Path:
    """Return the file of a module of `MODULES`."""
    return ROOT / "xcapi_core" / f"{module.replace('.', '/')}.py"


def _try_all(name: str, jobs: int) -> _Score | None:
    path = file_of(name)
    source = path.read_text(encoding="utf-8")
    module, tests = f"xcapi_core.{name}", MODULES[name]
    _, status, used = os.wait4(start(module, path, source, tests, limit_s=600), 0)
    if verdict(status) is not End.SURVIVED:
        return None
    limit_s = _LEAST_LIMIT_S + round(2 * used.ru_utime)
    known = _equivalents(name)
    score = _Score(name)
    waiting = mutants_of(source)
    total, running = len(waiting), dict[int, Mutant]()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop(0)
            if (mutant.before, mutant.after) in known:
                score.equivalent += 1
            else:
                running[start(module, path, mutant.source, tests, limit_s=limit_s)] = mutant
        if not running:
            break
        child, status = os.wait()
        mutant, end = running.pop(child), verdict(status)
        score.killed += end is End.KILLED
        if end is End.SURVIVED:
            score.survivors.append(mutant)
            _say(f"survived  {path.relative_to(ROOT)}:{mutant.line}\n  - {mutant.before}\n  + {mutant.after}")
        if sys.stdout.isatty():
            sys.stdout.write(f"\r\033[K{name}: {total - len(waiting)} of {total}\r")
    return score


def _equivalents(module: str) -> set[tuple[str, str]]:
    """Return the changes of a module that change nothing that matters; each is argued in equivalent.jsonl."""
    lines = (_HERE / "equivalent.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {(row["before"], row["after"]) for row in rows if row["module"] == module}


def _table(scores: Sequence[_Score]) -> str:
    rows: list[tuple[str, ...]] = [("module", "mutants", "killed", "survived", "equivalent", "share")]
    for score in scores:
        counts = (score.killed + len(score.survivors) + score.equivalent, score.killed, len(score.survivors))
        rows.append((score.module, *map(str, counts), str(score.equivalent), f"{score.percent:.1f} %"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
