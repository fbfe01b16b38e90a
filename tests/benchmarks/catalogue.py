"""The rows by name, in the order of the table."""

from collections.abc import Mapping

from tests.benchmarks.details import bisecting, ledger, posting, progress, splitting
from tests.benchmarks.rows import (
    cost,
    deliveries,
    dialects,
    end_to_end,
    first_version,
    floods,
    growth,
    memory,
    packed,
    profiling,
    signatures,
    starting,
)
from tests.benchmarks.running import Measure

__all__ = ["DETAILS", "ROWS"]

ROWS: Mapping[str, Measure] = {
    "deliveries": deliveries.measure,
    "packed": packed.measure,
    "dialects": dialects.measure,
    "end-to-end": end_to_end.measure,
    "first-version": first_version.measure,
    "cost": cost.measure,
    "starting": starting.measure,
    "memory": memory.measure,
    "floods": floods.measure,
    "growth": growth.measure,
    "signatures": signatures.measure,
    "profile": profiling.measure,
}
# Parts beside what one would write first for them: no goals, only ratios.
DETAILS: Mapping[str, Measure] = {
    "ledger": ledger.measure,
    "posting": posting.measure,
    "bisecting": bisecting.measure,
    "progress": progress.measure,
    "splitting": splitting.measure,
}
