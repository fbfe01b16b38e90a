"""What the headers of X's answers say about the rate budget.

Sources: X Ads API, "Rate limiting" (headers, 15-minute windows); RFC 9110 §6.6.1 (Date), §10.2.3 (Retry-After).
"""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

__all__ = ["RateHint", "read_rate_hint"]

# X's windows are 15 minutes; a reset beyond a day, or in milliseconds, is no time to wait for.
_FURTHEST_RESET_S = 24 * 3600.0


class RateHint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an answer says about the budget: delays in seconds from now, None where it says nothing."""

    retry_after_s: float | None = None
    remaining: int | None = None
    reset_after_s: float | None = None


def read_rate_hint(headers: Mapping[str, str], *, now_epoch_s: float) -> RateHint:
    """Read `Retry-After` and the rate headers; the account's win over the user's where both are there.

    `headers` have lower-case names. X's epoch times become delays here, by the clock that X's answer shows: this
    machine's, `now_epoch_s`, may be far off. What is unreadable, and a reset more than 24 hours ahead, counts as
    absent.
    """
    answered_at = _http_date(headers.get("date"))
    now_epoch_s = now_epoch_s if answered_at is None else answered_at
    prefix = "x-account-rate-limit" if "x-account-rate-limit-reset" in headers else "x-rate-limit"
    remaining = _number(headers.get(f"{prefix}-remaining"))
    reset = _number(headers.get(f"{prefix}-reset"))
    if reset is not None and reset - now_epoch_s > _FURTHEST_RESET_S:
        reset = None
    return RateHint(
        retry_after_s=_retry_after(headers.get("retry-after"), now_epoch_s),
        remaining=None if remaining is None else max(0, int(remaining)),
        reset_after_s=None if reset is None else max(0.0, reset - now_epoch_s),
    )


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
    moment = _http_date(text)
    return None if moment is None else max(0.0, moment - now_epoch_s)


def _http_date(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
