"""Where an event may say what: one table of names for all dialects, X's first.

A dialect's places are the objects of an event that it reads (the event itself, its parameters, its user, …). What it
reads there stands in a `Table`: for each kind of value the names that may hold it, with their places, in order of
precedence. Events of one publisher have the same keys, so what there is to look at among some hundred names is worked
out once for each set of keys.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from xcapi_core.events.fields import is_absent

__all__ = [
    "CLICK_IDS",
    "OVERRIDES",
    "PERSON",
    "Names",
    "Places",
    "Table",
    "merged",
    "says_nothing",
    "spread",
]

Places = Sequence[Mapping[str, object]]
# By kind of value: the places, by their index, and the names there, in order of precedence.
Names = Mapping[str, tuple[tuple[int, str], ...]]

_Prepared = TypeVar("_Prepared")

CLICK_IDS: Final = ("twclid", "_twclid")

# X's own names, which win in every dialect over what its sources call the same.
OVERRIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("conversion_time", "conversion_timestamp"),
    "amount": ("conversion_value",),
    "currency": ("price_currency", "conversion_currency"),
    "contents": ("contents",),
    "count": ("number_items", "number_item"),
    "description": ("description",),
    "search": ("search_string",),
}

# Who converted, in X's names, the pixel's and Google's.
PERSON: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("email", "email_address"),
    "phone": ("phone", "phone_number"),
    "hashed_email": ("hashed_email", "sha256_email_address"),
    "hashed_phone_number": ("hashed_phone_number", "sha256_phone_number"),
    "twclid": CLICK_IDS,
    "ip_address": ("ip_address",),
    "user_agent": ("user_agent",),
}

# Beyond these limits a plan is worked out anew each time, so that nobody can fill the memory with keys.
_MOST_PLANS = 512
_MOST_KEYS = 200
_MOST_CHARACTERS = 4_000


def spread(places: Sequence[int], kinds: Mapping[str, Sequence[str]]) -> Names:
    """Return each kind's names at each of these places: the first name at every place before the second."""
    return {kind: tuple((place, name) for name in names for place in places) for kind, names in kinds.items()}


def merged(*tables: Names) -> Names:
    """Return tables as one: of each kind, what stands in the first table comes before what stands in the second."""
    kinds = dict.fromkeys(kind for table in tables for kind in table)
    return {kind: tuple(dict.fromkeys(entry for table in tables for entry in table.get(kind, ()))) for kind in kinds}


class Table(Generic[_Prepared]):
    """The names of a dialect, and the plans made of them: which of the names the places of an event have.

    `prepare` makes a plan of these: names by kind, without kinds of which there are none.
    """

    def __init__(self, names: Names, prepare: Callable[[Names], _Prepared]) -> None:
        self._names = names
        self._prepare = prepare
        self._plans: dict[tuple[object, ...], _Prepared] = {}

    def known(self, place: int) -> frozenset[str]:
        """Return the names that are read at a place."""
        return frozenset(name for entries in self._names.values() for at, name in entries if at == place)

    def plan(self, places: Places) -> _Prepared:
        """Return the plan for places that have these names."""
        keys = (*map(tuple, places),)
        plan = self._plans.get(keys)
        return self._remembered(keys, keys) if plan is None else plan

    def plan_of_one(self, place: Mapping[str, object]) -> _Prepared:
        """Return the plan where the first place is the only one."""
        keys = tuple(place)
        plan = self._plans.get(keys)
        return self._remembered(keys, (keys,)) if plan is None else plan

    def _remembered(self, known_by: tuple[object, ...], keys: tuple[tuple[str, ...], ...]) -> _Prepared:
        plan = self._work_out(keys)
        flat = [key for at in keys for key in at]
        if len(flat) <= _MOST_KEYS and sum(map(len, flat)) <= _MOST_CHARACTERS:
            if len(self._plans) >= _MOST_PLANS:
                self._plans = {}
            self._plans[known_by] = plan
        return plan

    def _work_out(self, keys: tuple[tuple[str, ...], ...]) -> _Prepared:
        present = [frozenset(at) for at in keys]
        found = {
            kind: tuple([(at, name) for at, name in entries if at < len(present) and name in present[at]])
            for kind, entries in self._names.items()
        }
        return self._prepare({kind: entries for kind, entries in found.items() if entries})


def says_nothing(value: object) -> bool:
    """Tell whether a value is null, blank text or an empty list, which is what PHP makes of an empty object."""
    return is_absent(value) or value == []
