"""The same sale in every dialect: a push request's bytes in, the bodies of X's requests out."""

from collections.abc import Callable

from tests.benchmarks.configuration import configuration
from tests.benchmarks.results import Result, Table, judged
from tests.benchmarks.rows.packed import cpu_s_of_reading
from tests.benchmarks.running import Run, medians
from tests.benchmarks.workload import push_body
from tests.events.samples import SHAPES, packed
from xcapi_core.settings.reader import load_settings

__all__ = ["measure"]

GOAL = 0.5
EVENTS = 4_000
OWN = "X"


def measure(run: Run) -> list[Result]:
    """Compare each source's shape with X's own."""
    settings = load_settings({"XCAPI_CONFIG": configuration()})
    count = int(run.scaled(EVENTS))

    def reading(shape: str) -> Callable[[], float]:
        data, attributes = packed(shape, count)
        body = push_body(data, attributes=attributes)
        return lambda: cpu_s_of_reading(body, settings)

    spent = medians(run.in_turn({shape: reading(shape) for shape in SHAPES}))
    rates = {shape: count / seconds for shape, seconds in spent.items()}
    shares = {shape: rate / rates[OWN] for shape, rate in rates.items()}
    slowest = min(shares, key=shares.__getitem__)
    table = Table(
        title=f"Messages of {count:,} sales, in process, by CPU time",
        columns=("dialect", "events/s a core", "µs an event", "beside X's own"),
        rows=[(shape, f"{rate:,.0f}", f"{1e6 / rate:.1f}", f"{shares[shape]:.2f}") for shape, rate in rates.items()],
        note="The same sale: click id, e-mail, IP address and user agent, value, page, one content line.",
    )
    return [
        Result(
            what="events of other sources, beside X's own shape",
            goal=f"≥ {GOAL} of its rate",
            measured=f"{rates[slowest]:,.0f} events/s, {slowest}",
            ratio=f"{shares[slowest]:.2f}",
            verdict=judged(met=shares[slowest] >= GOAL),
            figures={f"share_{shape}": share for shape, share in shares.items()},
            tables=[table],
        )
    ]
