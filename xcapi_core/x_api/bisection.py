"""Finding the conversions that X refuses in a batch, without sinking their neighbours.

X rejects a batch as a whole and does not say which conversion was bad. The search is a value that proposes the next
request and takes its verdict; it does no I/O, so it can be tested against every pattern of bad ones.

The cost: where X's words name a value, its bearers fall out at once, and one more request carries the rest. Where
they name nothing, halves are tried on a *single* path down to one bad conversion; the halves that were not tried
wait and then go together. One bad in n costs 1 + log2(n) + 1 requests, since a half that passes leaves its sibling
known to be bad without asking. Trying both halves of each split would cost twice that.
"""

from collections.abc import Sequence

from xcapi_core.x_api.errors import XError, blame

__all__ = ["REQUEST_BUDGET", "Search"]

# Three unnamed bad ones in 500 need 1 + 3 × (9 + 1) = 31 requests; past that, small batches are cheaper than halving.
REQUEST_BUDGET = 36

# So many bad ones without a good one between them: the next is tried alone, not behind another round of halves.
_PESSIMISM_AFTER = 2


class Search:
    """One refused batch, and which of its conversions X minds.

    Positions are indices into the refused batch. `suspects` is a set that X refused as a whole, so at least one of
    them is bad; `untried` are those of which nothing is known.
    """

    def __init__(self, wires: Sequence[bytes], errors: Sequence[XError]) -> None:
        self._wires = wires
        self._suspects: list[int] = []
        self._untried: list[int] = []
        self._errors: tuple[XError, ...] = tuple(errors)
        self._refused: dict[int, tuple[XError, ...]] = {}
        self._trial: list[int] = []
        self._refused_in_a_row = 0
        self._narrow(list(range(len(wires))), self._errors)

    @property
    def unsettled(self) -> list[int]:
        """The positions without a verdict, in order."""
        return sorted(self._suspects + self._untried)

    @property
    def is_open(self) -> bool:
        """Whether a bad one is known to be among the unsettled, and not known which."""
        return bool(self._suspects)

    def take_refused(self) -> dict[int, tuple[XError, ...]]:
        """Return the newly found bad ones, each with the errors that X gave for it, and forget them."""
        refused, self._refused = self._refused, {}
        return refused

    def next_trial(self) -> list[int]:
        """Return the positions to send next; empty when every one has its verdict."""
        if self._suspects:
            self._trial = self._suspects[: (len(self._suspects) + 1) // 2]
        elif self._refused_in_a_row >= _PESSIMISM_AFTER:
            self._trial = self._untried[:1]
        else:
            self._trial = self._untried
        return self._trial

    def trial_settled(self) -> None:
        """Take note that the trial got an outcome of its own: X took it, or said something final about it."""
        settled = frozenset(self._trial)
        self._refused_in_a_row = 0
        suspects = [position for position in self._suspects if position not in settled]
        self._untried = [position for position in self._untried if position not in settled]
        # X took the first half of a refused set: what it minded is in the other half, and so are its words.
        self._suspects = []
        self._narrow(suspects, self._errors)

    def trial_refused(self, errors: Sequence[XError]) -> None:
        """Take note that X refused the trial for one or more of its conversions."""
        refused = frozenset(self._trial)
        self._untried = [position for position in (*self._suspects, *self._untried) if position not in refused]
        self._suspects = []
        self._narrow(self._trial, tuple(errors))

    def _narrow(self, suspects: list[int], errors: tuple[XError, ...]) -> None:
        """Settle what can be settled about a refused set without a request."""
        self._errors = errors
        if not suspects:
            return
        if len(suspects) == 1:
            self._refused[suspects[0]] = errors
            self._refused_in_a_row += 1
            return
        blamed = blame(errors, [self._wires[position] for position in suspects])
        if not blamed:
            self._suspects = suspects
            return
        self._refused |= {suspects[index]: named for index, named in blamed.items()}
        self._untried = [
            *(position for index, position in enumerate(suspects) if index not in blamed),
            *self._untried,
        ]
