"""Where the time goes: samples of the function's CPU time, by module."""

import json
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks import wrk
from tests.benchmarks.configuration import configuration
from tests.benchmarks.processes import FunctionServer, cpu_s
from tests.benchmarks.pushing import push
from tests.benchmarks.results import CannotMeasureError, Result, Table
from tests.benchmarks.running import Run
from tests.benchmarks.workload import array_of, push_body, sale

__all__ = ["measure"]

_MODULES = 20
_FUNCTIONS = 10


def measure(run: Run) -> list[Result]:
    """Sample both paths, all but the POST, with X answering inside the process."""
    run.need_wrk()
    seconds = max(2.0, run.scaled(6))
    messages = int(run.scaled(100))

    def single(function: FunctionServer) -> int:
        load = wrk.run(function.url, connections=64, seconds=seconds)
        wrk.check(load)
        return load.requests

    def packed(function: FunctionServer) -> int:
        push(function.port, (push_body(array_of(sale, 1_000)) for _ in range(messages)), at_once=8)
        return messages * 1_000

    return [
        _profile(run, "single-event deliveries", single),
        _profile(run, "messages of 1,000 events", packed),
    ]


def _profile(run: Run, name: str, load: Callable[[FunctionServer], int]) -> Result:
    run.say(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.json"
        with run.function("answering", configuration(), BENCH_PROFILE=str(path)) as function:
            function.ready()
            used = cpu_s(function.pid)
            events = load(function)
            each_us = (cpu_s(function.pid) - used) / events * 1e6
            with urllib.request.urlopen(f"{function.url}profile", timeout=10):  # noqa: S310 - ours, on loopback
                samples: Counter[str] = Counter(json.loads(path.read_text(encoding="utf-8")))
    total = samples.total()
    if not total:
        raise CannotMeasureError("the sampler saw nothing")
    modules: Counter[str] = Counter()
    for place, count in samples.items():
        modules[place.partition(":")[0]] += count
    tables = [
        _table(f"Where the time goes by {kind}: {name}", kind, counted.most_common(shown), total, each_us)
        for kind, counted, shown in (("module", modules, _MODULES), ("function", samples, _FUNCTIONS))
    ]
    first, share = modules.most_common(1)[0]
    return Result(
        what=f"where the time goes: {name}",
        goal="",
        measured=f"most in {first}, {share / total:.0%}; {each_us:.1f} µs CPU an event",
        figures={
            "cpu_us_per_event": each_us,
            **{f"share_{name}": count / total for name, count in modules.most_common(_MODULES)},
        },
        tables=tables,
    )


def _table(title: str, kind: str, top: Sequence[tuple[str, int]], total: int, each_us: float) -> Table:
    rest = total - sum(count for _, count in top)
    rows = [
        (_shown(place), f"{count / total:.1%}", f"{count / total * each_us:.2f}")
        for place, count in [*top, ("everything else", rest)]
    ]
    return Table(title=title, columns=(kind, "share", "µs an event"), rows=rows)


def _shown(place: str) -> str:
    return place.replace(".<locals>", "").replace(":", ": ")
