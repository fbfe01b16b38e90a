"""X's rate budget: so many events per ad account and window. Pure: the time is an argument."""

import math
from dataclasses import dataclass

__all__ = ["Allowance", "RateBudget"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an account has left. `reset_at` is in epoch seconds."""

    limit: int
    remaining: int
    reset_at: int

    def as_headers(self) -> dict[str, str]:
        """Return X's headers: the user's three, and the account's three, which clients prefer."""
        values = {"limit": str(self.limit), "remaining": str(self.remaining), "reset": str(self.reset_at)}
        return {f"{family}-{name}": value for family in _FAMILIES for name, value in values.items()}


_FAMILIES = ("x-rate-limit", "x-account-rate-limit")


@dataclass(slots=True)
class _Window:
    ends_at: float
    spent: int


class RateBudget:
    """The windows of all accounts. A window opens with an account's first request and closes `window_s` later."""

    def __init__(self, *, events: int, window_s: float) -> None:
        self._events = events
        self._window_s = window_s
        self._windows: dict[str, _Window] = {}

    def spend(self, account_id: str, events: int, now: float) -> bool:
        """Take `events` out of the account's budget, or nothing and return False where that is too much."""
        window = self._window(account_id, now)
        if window.spent + events > self._events:
            return False
        window.spent += events
        return True

    def allowance(self, account_id: str, now: float) -> Allowance:
        """Return what the account has left."""
        window = self._window(account_id, now)
        return Allowance(self._events, self._events - window.spent, math.ceil(window.ends_at))

    def clear(self) -> None:
        """Forget all spending."""
        self._windows.clear()

    def _window(self, account_id: str, now: float) -> _Window:
        window = self._windows.get(account_id)
        if window is None or now >= window.ends_at:
            window = self._windows[account_id] = _Window(ends_at=now + self._window_s, spent=0)
        return window
