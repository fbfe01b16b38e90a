"""When one pixel pauses: X's "not before", and an X, or a set-up, that refuses everything.

While a pause lasts, nothing is sent; after it, one request asks first.

Times are seconds of one monotonic clock, given by the caller.
"""

import math
import re
from collections import OrderedDict

from xcapi_core.outcomes import Deferred
from xcapi_core.x_api.errors import XError, quotes_a_value
from xcapi_core.x_api.rate_hints import RateHint

__all__ = ["LONE_REFUSALS", "LONGEST_PAUSE_S", "LoneRefusals", "Pause"]

# X's windows are 15 minutes. A clock far off, or a hostile header, must not stop a pixel for good: after an hour one
# request asks again.
LONGEST_PAUSE_S = 3600.0
# A refusal for the rate without a time: X names one, proxies may not. Doubles to the maximum while refusals go on.
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0
LONE_REFUSALS = 20
_MOST_WORDINGS = 50
# What differs from answer to answer: an id of the request, a time, a count.
_VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\w*[0-9]\w*", re.IGNORECASE)


class Pause:
    """One pixel's pause on this instance."""

    def __init__(self) -> None:
        self._until = -math.inf
        self._backoff_s = 0.0
        # What a conversion is told that cannot wait for the end of the pause.
        self.reason = Deferred(nack_status=429, cause="rate_limited")
        # After a pause a single request asks first; its answer opens the way for the others.
        self.probing = False
        # A probe carries at most this many conversions, since a refusal of more starts a bisection; None: a full batch.
        self.probe_size: int | None = None

    def ends_at(self, now: float) -> float:
        """Return the time at which the pause ends; `now` when there is none."""
        return max(now, self._until)

    def start(self, now: float, delay_s: float, reason: Deferred, *, probe_size: int | None = None) -> None:
        """Let no request start for `delay_s` seconds (an hour at most), then one alone."""
        until = now + min(delay_s, LONGEST_PAUSE_S)
        if until >= self._until:
            self._until = until
            self.reason = reason
            self.probe_size = probe_size
        self.probing = True

    def back_off(self, now: float, reason: Deferred) -> None:
        """Pause for a second; each time in a row for twice as long, up to a minute."""
        self._backoff_s = min(MAX_BACKOFF_S, max(FIRST_BACKOFF_S, 2 * self._backoff_s))
        self.start(now, self._backoff_s, reason)

    def note_deferred(self, now: float, hint: RateHint, reason: Deferred) -> None:
        """Pause as long as an answer says that means `reason` for its batch; a 429 pauses even if it names no time."""
        rate_limited = reason.nack_status == 429  # noqa: PLR2004 - one of two
        named = [] if hint.retry_after_s is None else [hint.retry_after_s]
        # A reset beside budget that is left does not say when to come back; it counts where nothing else is said.
        spent = hint.remaining == 0 or (rate_limited and not (hint.remaining and hint.retry_after_s))
        if hint.reset_after_s is not None and spent:
            named.append(hint.reset_after_s)
        if any(named):
            self.start(now, max(named), reason)
        elif rate_limited:
            self.back_off(now, reason)

    def note_judged(self) -> None:
        """Open the way for all, since X judged a request; the next back-off starts afresh."""
        self._backoff_s = 0.0
        self.probing = False
        self.probe_size = None


class LoneRefusals:
    """Counts the conversions that X refused alone, by its words, since it last took any.

    Words that quote a value of the conversion are about that conversion, and are not counted.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[int, tuple[tuple[str, str], ...]], int] = OrderedDict()

    def accepted(self) -> None:
        """Forget all: X takes conversions."""
        self._counts.clear()

    def count(self, status: int, errors: tuple[XError, ...], wire: bytes) -> bool:
        """Count a lone refusal; return whether there were `LONE_REFUSALS` in these words before it."""
        if quotes_a_value(errors, wire):
            return False
        wording = status, tuple((error.code, _VARIABLE.sub("#", error.message)) for error in errors)
        before = self._counts.pop(wording, 0)
        self._counts[wording] = before + 1
        if len(self._counts) > _MOST_WORDINGS:
            self._counts.popitem(last=False)
        return before >= LONE_REFUSALS
