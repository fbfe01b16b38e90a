"""How large a pixel's batches are: they follow what X refuses, in conversions and in bytes."""

__all__ = ["MAX_BATCH_BYTES", "BatchSize"]

# X names no limit in bytes; 500 usual conversions are 300 kB, and a front end's usual limit is 4 MB and more.
MAX_BATCH_BYTES = 2_000_000
# What was too large an hour ago may fit today: a proxy changes.
_BYTES_GROW_AFTER_S = 3600.0
# After an idle time batches are at least this part of a full one. Smaller ones would cost a lone bad conversion in the
# next 500 up to 28 requests instead of 17, full ones would have each of 500 sent five times where 1 % are bad.
_SHARE_AFTER_IDLE = 6
# But only after so many that X refused alone without naming them, counting less the more it has taken since. A few bad
# ones are no reason: the next message of 500 goes out as one request, as ever.
_MANY_BAD = 8
_COUNT_HALF_AFTER = 700


class BatchSize:
    """The largest batch to send next.

    While a share of the conversions is bad, a large batch is refused nearly always, and finding the bad ones in it
    sends every good one again and again. So a refusal that names nothing halves the batches, and an accepted full one
    doubles them: they settle where about every second one passes.
    """

    def __init__(self, max_conversions: int) -> None:
        self._max_conversions = max_conversions
        self._max_bytes = MAX_BATCH_BYTES
        self._shrunk_at = 0.0
        self._recently_bad = 0.0
        self.conversions = max_conversions

    def bytes_at(self, now: float) -> int:
        """Return the largest body to send, in bytes."""
        if self._max_bytes < MAX_BATCH_BYTES and now >= self._shrunk_at + _BYTES_GROW_AFTER_S:
            self._max_bytes = min(MAX_BATCH_BYTES, 2 * self._max_bytes)
            self._shrunk_at = now
        return self._max_bytes

    def accepted(self, conversions: int) -> None:
        """Grow after X took a full batch; a smaller one says nothing about larger ones."""
        self._recently_bad *= 0.5 ** (conversions / _COUNT_HALF_AFTER)
        if conversions >= self.conversions:
            self.conversions = min(self._max_conversions, 2 * self.conversions)

    def refused(self, conversions: int) -> None:
        """Halve after X refused a batch of so many and named none."""
        self.conversions = max(1, min(self.conversions, conversions) // 2)

    def found_bad(self, conversions: int) -> None:
        """Count what a bisection found that X did not name."""
        self._recently_bad += conversions

    def idle(self) -> None:
        """Forget in part what X refused, or all of it, since nothing waits: what comes next may be another's."""
        least = self._max_conversions
        if self._recently_bad >= _MANY_BAD:
            least //= _SHARE_AFTER_IDLE
        self.conversions = max(self.conversions, least)

    def start_over(self) -> None:
        """Send full batches again: what X refused was no matter of conversions."""
        self.conversions = self._max_conversions

    def too_large(self, body_bytes: int, now: float) -> None:
        """Halve the bytes of a body that was refused for its size."""
        self._max_bytes = min(self._max_bytes, body_bytes // 2)
        self._shrunk_at = now
