"""What the ledger of digests costs, beside the dict that one would write first."""

import gc
import random
import tracemalloc
from collections.abc import Callable, Iterable
from typing import TypeVar

from tests.benchmarks.details.measuring import detail, medians_s
from tests.benchmarks.results import Result, Table
from tests.benchmarks.running import Run
from xcapi_core.ledger import CAPACITY, Ledger

__all__ = ["measure"]

LOOKUPS = 20_000
NOW = 1_000.0

_Built = TypeVar("_Built")


def measure(_run: Run) -> list[Result]:
    """Fill a ledger, a dict of digests and a dict of ids with as many conversions, and look some of them up."""
    source = random.Random(1)  # the same keys in every run
    digests = [source.getrandbits(64) or 1 for _ in range(CAPACITY)]
    chosen = [source.randrange(CAPACITY) for _ in range(LOOKUPS)]
    known = [digests[place] for place in chosen]
    unknown = [source.getrandbits(64) or 1 for _ in range(LOOKUPS)]
    ids = [("o8z6j", "tw-o8z6j-o8z21", f"order-{place}") for place in chosen]
    no_ids = [("o8z6j", "tw-o8z6j-o8z21", f"nothing-{place}") for place in chosen]

    # Keys must be each one's own, as a process would hold them: copies of the integers, and texts made anew.
    ledger, ledger_bytes = _built(lambda: _ledger_of(int(str(key)) for key in digests))
    by_digest, by_digest_bytes = _built(lambda: {int(str(key)): NOW for key in digests})
    by_id, by_id_bytes = _built(
        lambda: {("o8z6j", "tw-o8z6j-o8z21", f"order-{place}"): NOW for place in range(CAPACITY)}
    )

    taken = medians_s(
        {
            "ledger, known": lambda: [ledger.has(key, NOW) for key in known],
            "ledger, new": lambda: [ledger.has(key, NOW) for key in unknown],
            "digest, known": lambda: [by_digest.get(key) for key in known],
            "digest, new": lambda: [by_digest.get(key) for key in unknown],
            "id, known": lambda: [by_id.get(key) for key in ids],
            "id, new": lambda: [by_id.get(key) for key in no_ids],
            "making": lambda: [ledger.digest(*parts) for parts in ids],
        }
    )
    rows = [
        _row("ledger", ledger_bytes, taken, "ledger"),
        _row("dict of 64-bit digests", by_digest_bytes, taken, "digest"),
        _row("dict of (pixel, tag, conversion id)", by_id_bytes, taken, "id"),
    ]
    table = Table(
        title=f"Remembering {CAPACITY:,} conversions",
        columns=("", "MB", "bytes a key", "µs, known", "µs, new", "× dict of digests, new"),
        rows=rows,
        note=f"Making a digest takes {taken['making'] / LOOKUPS * 1e6:.2f} µs.",
    )
    slower = taken["ledger, new"] / taken["digest, new"]
    return detail(
        table,
        f"{ledger_bytes / CAPACITY:.0f} bytes a key, a dict of digests {by_digest_bytes / CAPACITY:.0f}",
        bytes_per_key=ledger_bytes / CAPACITY,
        times_dict=slower,
    )


def _row(title: str, size: int, taken: dict[str, float], name: str) -> tuple[str, ...]:
    known, new = (taken[f"{name}, {kind}"] / LOOKUPS * 1e6 for kind in ("known", "new"))
    ratio = taken[f"{name}, new"] / taken["digest, new"]
    return (title, f"{size / 1e6:.0f}", f"{size / CAPACITY:.0f}", f"{known:.2f}", f"{new:.2f}", f"{ratio:.1f}")


def _ledger_of(digests: Iterable[int]) -> Ledger:
    ledger = Ledger()
    for digest in digests:
        ledger.add(digest, NOW)
    return ledger


def _built(build: Callable[[], _Built]) -> tuple[_Built, int]:
    """Return what was built, and the bytes that it takes."""
    gc.collect()
    tracemalloc.start()
    try:
        built = build()
        return built, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
