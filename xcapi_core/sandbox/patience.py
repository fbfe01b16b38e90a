"""Who was told to wait, and does not? Pure: the time is an argument."""

import math

from xcapi_core.sandbox.answers import Answer

__all__ = ["Patience"]

# A request that was on its way when the answer went out is not impatient; on a busy machine that takes a while.
_ON_ITS_WAY_S = 1.0


class Patience:
    """The time before which each pixel's clients were told not to come back."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, float]] = {}

    def hear(self, pixel_id: str, answer: Answer, now: float) -> None:
        """Remember what an answer said about waiting: `Retry-After` in seconds, a spent budget's reset."""
        until = now + _seconds(answer.headers.get("retry-after"))
        if answer.headers.get("x-account-rate-limit-remaining") == "0":
            until = max(until, _seconds(answer.headers.get("x-account-rate-limit-reset")))
        if until > now and until > self._told.get(pixel_id, (0.0, 0.0))[1]:
            self._told[pixel_id] = (now, until)

    def is_early(self, pixel_id: str, now: float) -> bool:
        """Say whether a request comes before the time that was named."""
        told_at, until = self._told.get(pixel_id, (0.0, 0.0))
        return told_at + _ON_ITS_WAY_S < now < until


def _seconds(text: str | None) -> float:
    """Return the number of a header; 0 where there is none, since injected headers may say anything."""
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
