"""`python -m tests.fuzz [TARGET…]`: fuzz all targets, or those named, and print a table of what came of it."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cached_tools import ROOT
from tests.fuzz.engines import atheris_or_reason
from tests.fuzz.inputs import load_corpus, save_corpus
from tests.fuzz.logged import LogTap
from tests.fuzz.session import Session, finding_name
from tests.fuzz.targets import TARGETS

__all__ = ["main"]

_INPUTS = 1_000_000
_FINDINGS = ROOT / ".cache" / "fuzz"
_MOST_KEPT = 200
_LONGEST_KEPT = 600
_EDGES = re.compile(rb"cov: (\d+)")


@dataclass
class _Run:
    """A worker process, and what it last told."""

    target: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def found(self) -> Path:
        return self.folder / "found"

    def start(self, options: argparse.Namespace, engine: str, environment: dict[str, str]) -> None:
        self.found.mkdir()
        with (self.folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.fuzz.worker", self.target, f"--engine={engine}"),
                    *(f"--inputs={options.inputs}", f"--seconds={options.seconds}", f"--seed={options.seed}"),
                    *(f"--report={self.folder / 'report.json'}", f"--found={self.found}"),
                ],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def look(self) -> None:
        """Read what the worker told last; one that ended without a last word died of its input."""
        report = self.folder / "report.json"
        if report.exists():
            self.told = json.loads(report.read_text())
        if self.process is not None and self.process.poll() is not None and not self.told.get("done"):
            words = (self.folder / "stderr").read_text(errors="replace")[-2000:]
            stopped = sorted(self.folder.glob("found-stopped-*"))
            data = stopped[0].read_bytes().decode("latin-1") if stopped else ""
            finding = {"what": f"the process ended with {self.process.returncode}", "data": data, "trace": words}
            self.told.setdefault("findings", []).append(finding | {"times": 1})
            self.told["done"] = True

    @property
    def edges(self) -> str:
        seen = _EDGES.findall((self.folder / "stderr").read_bytes())
        return seen[-1].decode() if seen else "-"


def main(arguments: Sequence[str]) -> int:
    """Fuzz; 1 where something was found."""
    options = _options(arguments)
    if options.replay:
        return _replay(options.replay)
    engine, environment = "plain", {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    if options.engine != "plain":
        atheris = atheris_or_reason()
        if isinstance(atheris, Path):
            engine = "atheris"
            environment["PYTHONPATH"] += f"{os.pathsep}{atheris}"
        elif options.engine == "atheris":
            sys.stderr.write(f"No coverage guidance: {atheris}.\n")
            return 2
        else:
            _say(f"No coverage guidance ({atheris}): inputs are kept for what they make the function do.")
    with tempfile.TemporaryDirectory() as folder:
        runs = [_Run(name, Path(folder) / name) for name in options.targets or TARGETS]
        for run in runs:
            run.folder.mkdir()
        try:
            _work(runs, options, engine, environment)
        except KeyboardInterrupt:
            _say("\nstopped")
        finally:
            for run in runs:
                if run.process is not None and run.process.poll() is None:
                    run.process.kill()
                    run.process.wait()
        findings = sum(_save_findings(run) for run in runs)
        _say(f"\n{_table(runs, engine)}")
        if options.keep:
            for run in runs:
                _say(f"{run.target}: {_keep(run)} inputs are kept in the corpus now")
    return 1 if findings else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=…", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--inputs", type=int, default=_INPUTS, help="how many a target (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1e9, help="how long a target at most")
    parser.add_argument("--seed", type=int, default=1, help="for chance (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many targets at once")
    parser.add_argument("--engine", choices=("auto", "atheris", "plain"), default="auto")
    parser.add_argument("--keep", action="store_true", help="add what was new to tests/fuzz/corpus")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run the input of a finding again, and show it")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.targets if name not in TARGETS]:
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if options.replay and not options.replay.is_file():
        parser.error(f"there is no file {options.replay}; findings are in .cache/fuzz/")
    return options


def _work(runs: Sequence[_Run], options: argparse.Namespace, engine: str, environment: dict[str, str]) -> None:
    waiting = list(runs)
    shown = 0.0
    while any(not run.told.get("done") for run in runs):
        active = [run for run in runs if run.process is not None and not run.told.get("done")]
        while waiting and len(active) < options.jobs:
            waiting[0].start(options, engine, environment)
            active.append(waiting.pop(0))
        time.sleep(0.25)
        for run in active:
            run.look()
        now = time.monotonic()
        if now - shown > (1.0 if sys.stdout.isatty() else 20.0):
            shown = now
            line = " · ".join(
                f"{run.target} {run.told.get('inputs', 0):,} ({len(run.told.get('findings', ()))} found)"
                for run in active
            )
            sys.stdout.write(f"\r\033[K{line}" if sys.stdout.isatty() else f"{line}\n")
            sys.stdout.flush()


def _save_findings(run: _Run) -> int:
    findings = run.told.get("findings", [])
    for finding in findings:
        _FINDINGS.mkdir(parents=True, exist_ok=True)
        file = _FINDINGS / finding_name(run.target, finding["data"].encode("latin-1"))
        file.write_text(json.dumps({"target": run.target, **finding}, indent=1))
        _say(f"\n{run.target}, met {finding['times']} times: {finding['what']}")
        _say(f'  again: make fuzz ARGS="--replay {file.relative_to(ROOT)}"')
    return len(findings)


def _table(runs: Sequence[_Run], engine: str) -> str:
    rows = [("target", "inputs", "seconds", "inputs/s", "edges", "behaviours", "findings")]
    for run in runs:
        inputs, seconds = run.told.get("inputs", 0), run.told.get("seconds", 0.0)
        rate = f"{inputs / seconds:,.0f}" if seconds else "-"
        behaviours = f"{run.told.get('behaviours', 0):,}"
        found = len(run.told.get("findings", ()))
        rows.append((run.target, f"{inputs:,}", f"{seconds:,.0f}", rate, run.edges, behaviours, str(found)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return f"engine: {engine}\n" + "\n".join(lines)


def _keep(run: _Run) -> int:
    """Keep the shortest inputs that do what neither seeds nor the kept ones do."""
    target = TARGETS[run.target]()
    kept = load_corpus(run.target)
    fresh = sorted((file.read_bytes() for file in run.found.iterdir()), key=lambda data: (len(data), data))
    with LogTap() as log:
        session = Session(target, log)
        for data in (*target.seeds(), *kept):
            session.take(data)
        kept += [data for data in fresh if len(data) <= _LONGEST_KEPT and session.take(data)]
    save_corpus(run.target, kept[:_MOST_KEPT])
    return min(len(kept), _MOST_KEPT)


def _replay(file: Path) -> int:
    finding = json.loads(file.read_text())
    with LogTap() as log:
        session = Session(TARGETS[finding["target"]](), log)
        session.take(finding["data"].encode("latin-1"))
    for found in session.findings.values():
        _say(f"{found.trace}\n{found.data!r}")
    return 1 if session.findings else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
