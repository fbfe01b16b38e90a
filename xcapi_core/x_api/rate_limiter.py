"""The rate budget of one pixel on this instance: how many events may go now.

Times are seconds of one monotonic clock, given by the caller. Source: X Ads API, "Rate limiting".
"""

import math
from collections import deque

from xcapi_core.settings import RateSettings
from xcapi_core.x_api.pause import LONGEST_PAUSE_S
from xcapi_core.x_api.rate_hints import RateHint

__all__ = ["RateLimiter", "Reservation"]

# The window slides in steps: a second, of a short window a sixtieth.
_BUCKET_S = 1.0
_BUCKETS = 60
# `reset` has whole seconds, and our clock and X's differ by a little.
_SAME_WINDOW_S = 2.0


class Reservation:
    """A request's share of the budget, held from before it starts until it is settled at its end."""

    __slots__ = ("_limiter", "events")

    def __init__(self, limiter: "RateLimiter", events: int) -> None:
        self._limiter = limiter
        self.events = events

    def settle(self, now: float, *, charged: int) -> None:
        """Give the share back, but for the events that X may have counted.

        X counted them at some time before now, but who knows when: a request may wait for keys, a thread or the
        network. So they stay in the window that begins now. An outage charges nothing: it must not use up the budget
        for the time after it. Refused events are charged, since X does not say that they are free.
        """
        self._limiter._settle(now, self.events, charged)  # noqa: SLF001 - one object in two parts


class RateLimiter:
    """A sliding window of events, never exceeded, whenever X counts them.

    Where X's headers name less, they win until the reset that they name; what is in flight is taken off, since X may
    not have counted it yet.
    """

    def __init__(self, rate: RateSettings) -> None:
        self._rate = rate
        self._bucket_s = min(_BUCKET_S, rate.window_s / _BUCKETS)
        self._window: deque[tuple[float, int]] = deque()  # (end of a bucket of time, events charged in it)
        self._in_window = 0
        self._in_flight = 0
        self._x_reported: int | None = None
        self._x_reset_at = -math.inf

    def allowance(self, now: float) -> int:
        """Return how many events may go now."""
        self._forget(now)
        ours = self._rate.events - self._in_window - self._in_flight
        reported = self._reported(now)
        return max(0, ours if reported is None else min(ours, reported - self._in_flight))

    def reserve(self, now: float, events: int) -> Reservation | None:
        """Hold the budget for a request of so many events; None where it does not suffice."""
        if self.allowance(now) < events:
            return None
        self._in_flight += events
        return Reservation(self, events)

    def next_capacity_at(self, now: float) -> float:
        """Return the time at which an event may go; `now` also where that depends on a request in flight alone."""
        if self.allowance(now) > 0:
            return now
        moments = [now]
        if self._in_window >= self._rate.events:
            moments.append(self._window[0][0] + self._rate.window_s)
        if self._reported(now) == 0:
            moments.append(self._x_reset_at)
        return max(moments)

    def note_hint(self, now: float, hint: RateHint) -> None:
        """Take in what an answer says about the budget that is left."""
        if hint.remaining is None or not hint.reset_after_s:
            return
        reset_at = now + min(hint.reset_after_s, LONGEST_PAUSE_S)
        remaining = hint.remaining
        # Answers overtake each other: within one window only the smallest number is news.
        if self._x_reported is not None and abs(reset_at - self._x_reset_at) < _SAME_WINDOW_S:
            remaining = min(remaining, self._x_reported)
        self._x_reported = remaining
        self._x_reset_at = reset_at

    def _settle(self, now: float, events: int, charged: int) -> None:
        self._in_flight -= events
        if not charged:
            return
        self._in_window += charged
        if self._window and now < self._window[-1][0]:
            end, earlier = self._window[-1]
            self._window[-1] = (end, earlier + charged)
        else:
            # The bucket's end, so that an event leaves the window late rather than early.
            self._window.append((now + self._bucket_s, charged))

    def _reported(self, now: float) -> int | None:
        """Return what X reported to be left, while that holds."""
        if now >= self._x_reset_at:
            self._x_reported = None
        return self._x_reported

    def _forget(self, now: float) -> None:
        while self._window and self._window[0][0] + self._rate.window_s <= now:
            self._in_window -= self._window.popleft()[1]
