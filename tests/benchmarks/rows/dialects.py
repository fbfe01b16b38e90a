"""The same sale in every dialect: a push request's bytes in, the bodies of X's requests out."""

from collections.abc import Callable

from tests.benchmarks.configuration import configuration
from tests.benchmarks.results import Result, Table, judged
from tests.benchmarks.rows.packed import cpu_s_of_reading
from tests.benchmarks.running import Run, medians
from tests.benchmarks.workload import push_body
from tests.events.samples import FULL_SHAPES, SHAPES, packed
from xcapi_core.settings.reader import load_settings

__all__ = ["measure"]

GOAL = 0.25
FULL_GOAL = 45_000  # a peer's processor does 34,000 on the same call, without checking the number
EVENTS = 4_000
OWN = "X"
FULL_SEGMENT = "Segment, full"


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
    full = medians(run.in_turn({shape: reading(shape) for shape in FULL_SHAPES}))
    full_rates = {shape: count / seconds for shape, seconds in full.items()}
    return [
        Result(
            what="events of other sources, beside X's own shape",
            goal=f"≥ {GOAL} of its rate",
            measured=f"{rates[slowest]:,.0f} events/s, {slowest}",
            ratio=f"{shares[slowest]:.2f}",
            verdict=judged(met=shares[slowest] >= GOAL),
            figures={f"share_{shape}": share for shape, share in shares.items()},
            tables=[table],
        ),
        Result(
            what="sales with e-mail, phone number (E.164), click id and two products",
            goal=f"≥ {FULL_GOAL:,} events/s a core, Segment",
            measured=", ".join(f"{shape.partition(',')[0]} {rate:,.0f}" for shape, rate in full_rates.items()),
            ratio=f"{full_rates[FULL_SEGMENT] / FULL_GOAL:.2f} of the goal",
            verdict=judged(met=full_rates[FULL_SEGMENT] >= FULL_GOAL),
            figures={f"full_{shape}": rate for shape, rate in full_rates.items()},
        ),
    ]
