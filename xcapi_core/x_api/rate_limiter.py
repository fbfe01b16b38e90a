"""When may the next request of a pixel start? The rate budget, and the "not before" that X names.

Times are seconds of one monotonic clock, given by the caller; X's epoch times become delays at the door.
Sources: X Ads API, "Rate limiting" (headers, 15-minute windows); RFC 9110 §10.2.3 (Retry-After).
"""

import math
from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

from xcapi_core.outcomes import Deferred
from xcapi_core.settings import RateSettings

__all__ = ["MAX_CLOSED_S", "Pacer", "RateHint", "read_rate_hint"]

# X's windows are 15 minutes. A clock far off, or a hostile header, must not stop a pixel for good: after an hour one
# request asks again.
MAX_CLOSED_S = 3600.0
# 429 without a time: X names one, proxies may not. Doubles to the maximum while refusals go on.
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0
# The window slides in steps: a second, of a short window a sixtieth.
_BUCKET_S = 1.0
_BUCKETS = 60
# `reset` has whole seconds, and our clock and X's differ by a little.
_SAME_WINDOW_S = 2.0


class RateHint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an answer says about the budget: delays in seconds from now, None where it says nothing."""

    retry_after_s: float | None = None
    remaining: int | None = None
    reset_after_s: float | None = None


def read_rate_hint(headers: Mapping[str, str], *, now_epoch_s: float) -> RateHint:
    """Read `Retry-After` and the rate headers; the account's win over the user's where both are there.

    `headers` have lower-case names. Unreadable values count as absent.
    """
    prefix = "x-account-rate-limit" if "x-account-rate-limit-reset" in headers else "x-rate-limit"
    remaining = _number(headers.get(f"{prefix}-remaining"))
    reset = _number(headers.get(f"{prefix}-reset"))
    return RateHint(
        retry_after_s=_retry_after(headers.get("retry-after"), now_epoch_s),
        remaining=None if remaining is None else max(0, int(remaining)),
        reset_after_s=None if reset is None else max(0.0, reset - now_epoch_s),
    )


class Pacer:
    """One pixel's gate and budget on this instance.

    The local budget is a sliding window of events, and never exceeded, whenever X counts them: a request's events are
    held while it is in flight, and for a window's time after its end. Where X's headers name less, they win until the
    reset that they name; what is in flight is taken off, since X may not have counted it yet.
    """

    def __init__(self, rate: RateSettings) -> None:
        self._rate = rate
        self._bucket_s = min(_BUCKET_S, rate.window_s / _BUCKETS)
        self._window: deque[tuple[float, int]] = deque()  # (end of a bucket of time, events whose requests ended in it)
        self._in_window = 0
        self._in_flight = 0
        self._closed_until = -math.inf
        self._x_reported: int | None = None
        self._x_reset_at = -math.inf
        self._backoff_s = 0.0
        # What a delivery is told that cannot wait for the gate to open.
        self.closed_as = Deferred(nack_status=429, cause="rate_limited")
        # After a closed gate a single request asks first; its answer opens the way for the others.
        self.probing = False

    def opens_at(self, now: float) -> float:
        """Return the time at which X's gate opens; `now` when it is open."""
        return max(now, self._closed_until)

    def allowance(self, now: float) -> int:
        """How many events may go now, the gate aside."""
        return self.capacity_until(now, now)

    def capacity_until(self, now: float, until: float) -> int:
        """How many events, in all, may go between `now` and `until`, the gate aside.

        A time as long as several windows holds several budgets. What is in flight is taken to end at once.
        """
        self._forget(now)
        until = max(now, until)
        whole_windows = int((until - now) // (self._rate.window_s + self._bucket_s))
        rest_until = until - whole_windows * (self._rate.window_s + self._bucket_s)
        ours = max(0, self._rate.events - self._in_window - self._in_flight) + whole_windows * self._rate.events
        for end, events in self._window:
            if end + self._rate.window_s > rest_until:
                break
            ours += events
        if not self._x_rules(now):
            return ours
        left = max(0, (self._x_reported or 0) - self._in_flight)
        if until >= self._x_reset_at:
            left += self._rate.events * (1 + int((until - self._x_reset_at) // self._rate.window_s))
        return min(ours, left)

    def next_capacity_at(self, now: float) -> float:
        """Return the time at which an event may go, the gate aside; infinite where a request has to end before."""
        if self.allowance(now) > 0:
            return now
        moments = [now]
        if self._in_window + self._in_flight >= self._rate.events:
            moments.append(self._window[0][0] + self._rate.window_s if self._window else math.inf)
        if self._x_rules(now) and (self._x_reported or 0) <= self._in_flight:
            moments.append(self._x_reset_at)
        return max(moments)

    def note_sent(self, events: int) -> None:
        """Count a request's events when it is about to start."""
        self._in_flight += events

    def note_done(self, now: float, events: int, *, counted: bool) -> None:
        """Take note that a request ended.

        X counted its events at some time before now, but who knows when: a request may wait for keys, a thread or the
        network. They leave the window that begins now.

        `counted` is False where X cannot have counted its events (it was never sent, the connection failed, X was
        down): an outage must not use up the budget for the time after it. Refused ones count, since X does not say
        that they are free.
        """
        self._in_flight -= events
        if not counted:
            return
        self._in_window += events
        if self._window and now < self._window[-1][0]:
            end, ended = self._window[-1]
            self._window[-1] = (end, ended + events)
        else:
            # The bucket's end, so that an event leaves the window late rather than early.
            self._window.append((now + self._bucket_s, events))

    def note_hint(self, now: float, hint: RateHint, *, deferred_as: Deferred | None) -> None:
        """Take in what an answer says about the budget.

        `deferred_as` is what the answer itself means for its batch, None when X took or judged it. A 429 closes the
        gate even when it names no time.
        """
        self._note_remaining(now, hint)
        if deferred_as is None:
            return
        rate_limited = deferred_as.nack_status == 429  # noqa: PLR2004 - one of two
        named = [] if hint.retry_after_s is None else [hint.retry_after_s]
        # A reset beside budget that is left does not say when to come back; it counts where nothing else is said.
        spent = hint.remaining == 0 or (rate_limited and not (hint.remaining and hint.retry_after_s))
        if hint.reset_after_s is not None and spent:
            named.append(hint.reset_after_s)
        if rate_limited and not any(named):
            self._backoff_s = min(MAX_BACKOFF_S, max(FIRST_BACKOFF_S, 2 * self._backoff_s))
            named.append(self._backoff_s)
        if any(named):
            self.close(now, max(named), deferred_as)

    def note_judged(self) -> None:
        """X judged a request: a gate that was closed is open for all, the next back-off starts afresh."""
        self._backoff_s = 0.0
        self.probing = False

    def close(self, now: float, delay_s: float, closed_as: Deferred) -> None:
        """Let no request start for `delay_s` seconds (an hour at most), then one alone."""
        until = now + min(delay_s, MAX_CLOSED_S)
        if until >= self._closed_until:
            self._closed_until = until
            self.closed_as = closed_as
        self.probing = True

    def _note_remaining(self, now: float, hint: RateHint) -> None:
        if hint.remaining is None or not hint.reset_after_s:
            return
        reset_at = now + min(hint.reset_after_s, MAX_CLOSED_S)
        remaining = hint.remaining
        # Answers overtake each other: within one window only the smallest number is news.
        if self._x_reported is not None and abs(reset_at - self._x_reset_at) < _SAME_WINDOW_S:
            remaining = min(remaining, self._x_reported)
        self._x_reported = remaining
        self._x_reset_at = reset_at

    def _x_rules(self, now: float) -> bool:
        """Tell whether what X reported still holds."""
        if self._x_reported is None:
            return False
        if now < self._x_reset_at:
            return True
        self._x_reported = None
        return False

    def _forget(self, now: float) -> None:
        while self._window and self._window[0][0] + self._rate.window_s <= now:
            self._in_window -= self._window.popleft()[1]


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _retry_after(text: str | None, now_epoch_s: float) -> float | None:
    """RFC 9110 §10.2.3: seconds, or an HTTP date."""
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    if not text:
        return None
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_epoch_s)
    except (ValueError, OverflowError, TypeError):
        return None
