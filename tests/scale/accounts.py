"""The imagined ad accounts, and what X counted of each. Pure.

Pixels are numbered, account by account, and so are events; a name says its number.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xcapi_core.sandbox.config import SandboxConfig, SandboxPixel

__all__ = ["AccountsConfig", "Counted", "Plan", "most_in_a_window", "pixel_name"]

_TAG = "t1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How large the simulation is.

    `budget` is X's of one ad account, in events in `window_s`; `share` what one instance takes of it for one pixel.
    `max_backoff_s` is Pub/Sub's longest wait before it delivers a nacked message again.
    """

    events: int
    processes: int
    pixels: int
    accounts: int
    budget: int
    window_s: float
    events_per_message: int
    share: int
    max_backoff_s: int

    @property
    def pixels_per_account(self) -> int:
        """How many pixels share a budget, at most."""
        return math.ceil(self.pixels / self.accounts)

    @property
    def at_best_s(self) -> float:
        """How long the budgets alone make it take: the fullest account's windows, its last one at once."""
        return (math.ceil(max(self.events_by_account().values()) / self.budget) - 1) * self.window_s

    def events_by_account(self) -> Mapping[int, int]:
        """Return how many events each account gets."""
        events: defaultdict[int, int] = defaultdict(int)
        for number, size in enumerate(self.message_sizes()):
            events[self.account_of(number % self.pixels)] += size
        return events

    def message_sizes(self) -> Sequence[int]:
        """Return how many events each message has. Message after message belongs to the next pixel."""
        full, rest = divmod(self.events, self.events_per_message)
        return [self.events_per_message] * full + ([rest] if rest else [])

    def account_of(self, pixel: int) -> int:
        """Return a pixel's account."""
        return pixel // self.pixels_per_account


def pixel_name(number: int) -> str:
    """Return a pixel's id, as X spells such."""
    return f"p{number:04d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsConfig(SandboxConfig):
    """A sandbox whose pixels are numbered: to look through a list of a thousand would cost it more than X's rules."""

    pixels_per_account: int

    def pixel(self, pixel_id: str) -> SandboxPixel | None:
        """Return the pixel of that number."""
        account = f"account{int(pixel_id[1:]) // self.pixels_per_account}"
        return SandboxPixel(pixel_id=pixel_id, account_id=account, event_tags={_TAG: "purchase"})


@dataclass(frozen=True, slots=True)
class Counted:
    """So many events of one request, when X counted them for the account."""

    at: float
    account: int
    events: int


def most_in_a_window(counted: Iterable[Counted], window_s: float) -> int:
    """Return the most in one window of one account; it opens with the first event after the end of the one before."""
    opened: dict[int, tuple[float, int]] = {}
    most = 0
    for one in sorted(counted, key=lambda each: each.at):
        opened_at, events = opened.get(one.account, (-math.inf, 0))
        if one.at >= opened_at + window_s:
            opened_at, events = one.at, 0
        opened[one.account] = opened_at, events + one.events
        most = max(most, events + one.events)
    return most
