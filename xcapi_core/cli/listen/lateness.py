"""Whether what arrives is old, whatever this machine's clock says. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

__all__ = ["Lateness"]

# Who looks on wants to see what passes now.
_BEHIND: Final = timedelta(seconds=60)


class Lateness:
    """Compares publish times, by Pub/Sub's clock, with times of this machine's.

    The subscription is new, so the quickest message arrived as it was published: what it seems to be late, this clock
    is ahead.
    """

    def __init__(self) -> None:
        self._clock_ahead: timedelta | None = None

    def is_behind(self, published: Iterable[datetime], now: datetime) -> bool:
        """Tell whether any of these was published a minute or more ago."""
        ages = [now - one for one in published]
        self._clock_ahead = min([*ages, *([] if self._clock_ahead is None else [self._clock_ahead])], default=None)
        return self._clock_ahead is not None and any(age - self._clock_ahead > _BEHIND for age in ages)

    def at_pubsub(self, now: datetime) -> datetime:
        """Return what Pub/Sub's clock says, as far as can be told."""
        return now - (self._clock_ahead or timedelta())
