"""Exact counts of what the console has seen, however few rows it keeps."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from xcapi_core.sandbox.console.entries import match_keys

__all__ = ["Totals"]


@dataclass(slots=True)
class Totals:
    """Counts of all entries since the last clear, those that have made room included."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    conversions: int = 0
    missed_requests: int = 0

    def count_conversion(self, conversion: Mapping[str, object]) -> None:
        """Count one, and what X can match it by."""
        self.conversions += 1
        self.keys.update(match_keys(conversion))

    def as_json(self) -> dict[str, object]:
        """Return the totals as the page takes them."""
        verdicts: Counter[str] = Counter()
        reasons: dict[str, dict[str, int]] = {}
        for (verdict, reason), count in self.ends.most_common():
            if count:
                verdicts[verdict] += count
                if reason:
                    reasons.setdefault(verdict, {})[reason] = count
        return {
            "events": verdicts.total(),
            "verdicts": dict(verdicts),
            "reasons": reasons,
            "conversions": self.conversions,
            "match_keys": dict(self.keys),
            "missed_requests": self.missed_requests,
        }
