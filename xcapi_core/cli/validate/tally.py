"""How many events ended where, and why: the summary, in memory that does not grow with the events."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from xcapi_core.cli.validate.verdicts import End, Verdict

__all__ = ["ENDS", "Tally"]

ENDS: Final[tuple[End, ...]] = ("conversion", "skipped", "invalid", "expired", "unreadable")
# Names of unwanted events are their sender's: more kinds of an end than this are counted together.
_MOST_REASONS = 200
_KINDS: Final = ("twclid", "hashed_email", "hashed_phone_number", "ip_address", "user_agent")


class Tally:
    """Counts verdicts."""

    def __init__(self) -> None:
        self.reasons: dict[End, Counter[str]] = {end: Counter() for end in ENDS}
        self.dropped: Counter[str] = Counter()
        self.identifiers: Counter[str] = Counter()
        self.derived_ids = 0
        self.files_unread = 0
        self.x_takes_all = True

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        reasons = self.reasons[verdict.end]
        reasons[verdict.why if verdict.why in reasons or len(reasons) < _MOST_REASONS else "other reasons"] += 1
        self.dropped.update(verdict.dropped)
        self.identifiers.update(verdict.identifiers)
        self.derived_ids += verdict.has_derived_id

    @property
    def events(self) -> int:
        """How many events there were."""
        return sum(counter.total() for counter in self.reasons.values())

    @property
    def is_well(self) -> bool:
        """Whether every file was read, and every event is sent or left out on purpose; X, where asked, takes them."""
        unsendable = (end for end in ENDS if end not in ("conversion", "skipped"))
        return self.x_takes_all and not self.files_unread and not any(self.reasons[end] for end in unsendable)

    def match_quality(self) -> str:
        """Say how many conversions carry each kind of identifier, and how many a derived dedup key; "" without any."""
        conversions = self.reasons["conversion"].total()
        if not conversions:
            return ""
        shares = [f"{kind} {self.identifiers[kind] / conversions:.0%}" for kind in _KINDS]
        return f"{', '.join(shares)}; derived conversion_id {self.derived_ids / conversions:.0%}"

    def rows(self) -> Iterator[tuple[End, str, int]]:
        """Yield the end, the reason and the count of each, the most frequent first within an end."""
        for end in ENDS:
            for why, count in self.reasons[end].most_common():
                yield end, why, count

    def as_json(self) -> dict[str, object]:
        """Return the summary for scripts."""
        return {
            "events": self.events,
            "ok": self.is_well,
            "ends": {end: dict(self.reasons[end].most_common()) for end in ENDS if self.reasons[end]},
            "dropped": dict(self.dropped.most_common()),
            "identifiers": {kind: self.identifiers[kind] for kind in _KINDS},
            "derived_ids": self.derived_ids,
            "files_unread": self.files_unread,
        }
