"""How many requests it takes to find the conversions that X refuses without naming them."""

import random
import statistics
from collections.abc import Sequence

from tests.benchmarks.details.measuring import detail
from tests.benchmarks.results import Result, Table
from tests.benchmarks.running import Run
from xcapi_core.x_api.bisection import REQUEST_BUDGET, Search
from xcapi_core.x_api.errors import XError

__all__ = ["measure"]

BATCH = 500
PATTERNS = 200
UNNAMED = [XError(code="INVALID_PARAMETER", message="At least one user identifier must be provided")]
WIRES = [b"{}"] * BATCH


def measure(_run: Run) -> list[Result]:
    """Compare the single path with a bisection that tries both halves, over the same random patterns."""
    rows = []
    source = random.Random(1)  # the same patterns in every run
    for bad_ones in (1, 2, 3, 5, 10):
        patterns = [frozenset(source.sample(range(BATCH), bad_ones)) for _ in range(PATTERNS)]
        ours = [_requests_of_search(bad) for bad in patterns]
        theirs = [_requests_of_bisection(bad, range(BATCH)) for bad in patterns]
        within = sum(count <= REQUEST_BUDGET for count in ours)
        rows.append(
            (
                str(bad_ones),
                f"{statistics.mean(ours):.1f}",
                str(max(ours)),
                f"{statistics.mean(theirs):.1f}",
                str(max(theirs)),
                f"{statistics.mean(theirs) / statistics.mean(ours):.2f}",
                f"{within / PATTERNS:.0%}",
            )
        )
    table = Table(
        title=f"Requests to find bad conversions among {BATCH} that X does not name, {PATTERNS} random patterns each",
        columns=("bad", "mean", "most", "both halves: mean", "most", "ratio", f"within {REQUEST_BUDGET}"),
        rows=rows,
        note="The first, refused request counts. Beyond the budget the rest goes out in small batches.",
    )
    return detail(table, f"one bad: {rows[0][1]} requests on average, both halves {rows[0][3]}")


def _requests_of_search(bad: frozenset[int]) -> int:
    search = Search(WIRES, UNNAMED)
    requests = 1
    found: set[int] = set()
    while True:
        found.update(search.take_refused())
        trial = search.next_trial()
        if not trial:
            if found != bad:
                raise AssertionError("the search found others than the bad ones")
            return requests
        requests += 1
        if bad.isdisjoint(trial):
            search.trial_settled()
        else:
            search.trial_refused(UNNAMED)


def _requests_of_bisection(bad: frozenset[int], positions: Sequence[int]) -> int:
    if len(positions) == 1 or bad.isdisjoint(positions):
        return 1
    middle = len(positions) // 2
    return 1 + sum(_requests_of_bisection(bad, half) for half in (positions[:middle], positions[middle:]))
