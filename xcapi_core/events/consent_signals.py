"""Consent signals: where an event of any dialect may hold one, and what each says."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from xcapi_core.events.consent_objects import SIGNALS, UNREADABLE
from xcapi_core.events.consent_values import (
    TYPED_COLUMNS,
    Consent,
    are_columns,
    opened_json,
    quoted,
    squeezed,
    typed_values,
)
from xcapi_core.events.fields import is_object

__all__ = ["Signals", "is_signal", "is_silent"]


@lru_cache(maxsize=64)  # of the configuration's categories
def _all_squeezed(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(squeezed, names))


class Signals:
    """One event's signals, gathered from every place that may hold some."""

    __slots__ = ("_doubtful", "_places", "categories", "codes", "were_met")

    def __init__(self, categories: Sequence[str]) -> None:
        self.categories = _all_squeezed(tuple(categories)) if categories else frozenset()
        self.codes: dict[str, None] = {}
        # Whether there was any name that matters: an object may have said something else of it before.
        self.were_met = False
        self._places: list[tuple[Mapping[str, object], _Plan]] = []
        self._doubtful: list[object] = []

    def add_place(self, place: Mapping[str, object]) -> None:
        """Add an object whose fields may be signals."""
        names = tuple(place)
        plan = _plans.get(names)
        if plan is None:
            plan = _plan_of(names)
        if plan:
            self.were_met = True
            self._places.append((place, plan))

    def doubt(self, value: object) -> Consent:
        """Add what may hold places where nothing can grant: only a refusal in it counts."""
        self._doubtful.append(value)
        return Consent.UNSAID

    def doubt_unread(self, place: Mapping[str, object]) -> None:
        """Doubt the fields of an object that are no signals."""
        read = {name for name, _, _ in _plan_of(tuple(place))}
        self._doubtful += [value for name, value in place.items() if name not in read]

    def read(self) -> list[Consent]:
        """Return all that the places say, and the places inside of them."""
        said = self._read_places() if self._places else []
        while self._doubtful:
            said.append(_places_in(self, self._doubtful.pop()))
            said += [answer for answer in self._read_places() if answer is Consent.NO]
        return said

    def _read_places(self) -> list[Consent]:
        said: list[Consent] = []
        # A stack, not recursion: text from outside decides how deep it goes.
        while self._places:
            place, plan = self._places.pop()
            for name, read, _ in plan:
                value = place[name]
                if read is _key_of_row:
                    if not isinstance(value, str) or _plan_of((value,)):
                        self._add_row(value, place)
                    continue
                if value is None:
                    continue
                if read is _places_in:
                    if isinstance(value, dict):
                        self.add_place(value)
                    else:
                        said.append(_places_in(self, value))
                elif is_object(value):
                    said += [read(self, typed) for typed in typed_values(value)]
                else:
                    said.append(read(self, value))
        return said

    def _add_row(self, key: object, row: Mapping[str, object]) -> None:
        """Add what a row of keys and values says, as the BigQuery export's `event_params` have them.

        Where the key is a list, of a row that names it or its value twice, so are the values.
        """
        keys = key if isinstance(key, list) else [key]
        # Each signal once, whatever its spelling: there may be many keys and many values.
        found = {_compared(name): name for one in keys for name in typed_values(one) if isinstance(name, str)}
        names = [name for name in found.values() if _plan_of((name,))]
        for column, value in row.items() if names else ():
            if squeezed(column) == "value":
                for name in names:
                    for one in value if isinstance(key, list) and isinstance(value, list) else (value,):
                        self.add_place({name: one})

    def add_places_in(self, value: object) -> Consent:
        """Add the objects in a field, whatever its shape."""
        return _places_in(self, value)

    def refuse(self, code: str) -> Consent:
        """Take something for a no, and count why."""
        self.codes[code] = None
        return Consent.NO

    def note(self, code: str) -> Consent:
        """Count something that says nothing."""
        self.codes[code] = None
        return Consent.UNSAID


def _places_in(signals: Signals, value: object) -> Consent:
    """Add the objects in a field: one, a list of them, a list written as an object, any of these as JSON text.

    The list may be one of keys and values, as the BigQuery export's `event_params`.
    """
    unopened = [value]
    while unopened:
        part = unopened.pop()
        if isinstance(part, dict):
            signals.add_place(part)
        elif isinstance(part, str):
            opened = opened_json(part)
            if not isinstance(opened, str):
                unopened.append(opened)
            elif opened.startswith(("{", "[", '"')) and any(name in squeezed(opened) for name in SIGNALS):
                return signals.refuse(UNREADABLE)  # broken JSON in which a signal is named
        elif isinstance(part, list):
            unopened += part
    return Consent.UNSAID


def _key_of_row(_signals: Signals, _key: object) -> Consent:
    return Consent.UNSAID  # it takes the row to tell what is said of it


_FieldReader = Callable[[Signals, object], Consent]
# The names that matter, each with its reader, and as it stands in JSON.
_Plan = Sequence[tuple[str, _FieldReader, bytes]]
# Where an event keeps further fields, in one dialect or another, events inside of a body included.
_PLACES: Final = (
    "batch",
    "campaign",
    "context",
    "conversions",
    "device",
    "ecommerce",
    "eventparams",
    "events",
    "identifiers",
    "mp2userproperties",  # a server container's name for the user's
    "page",
    "params",
    "properties",
    "systemproperties",
    "traits",
    "user",
    "userdata",
    "userproperties",
)
_READERS: Final[Mapping[str, _FieldReader]] = {
    **dict.fromkeys((*_PLACES, *TYPED_COLUMNS - {"value"}), _places_in),
    "key": _key_of_row,
    **SIGNALS,
}
# Server containers write the parameters of a request with one of these before the name.
_PREFIXES: Final = ("xga", "xsst")


def is_signal(name: str) -> bool:
    """Tell whether a field of this name may say something of consent."""
    return _compared(name) in SIGNALS


# Events of one publisher have the same keys, so which of them matter is worked out once for each set of keys. Beyond
# these limits it is worked out anew each time, so that nobody can fill the memory with keys.
_MOST_SIGNAL_PLANS: Final = 512
_MOST_NAME_CHARACTERS: Final = 4_000
# Each place's name is looked for in the whole event.
_MOST_PLACES: Final = 50
_plans: Final[dict[tuple[str, ...], _Plan]] = {}


def is_silent(event: object, event_bytes: bytes) -> bool:
    """Tell whether surely nothing in an event could be a signal: it takes no closer look.

    No field in it or in its places is one, and the names of its places stand there once, each with an object.
    """
    if not isinstance(event, dict):
        return False
    plan = _plan_of(tuple(event))
    if not plan:
        return True
    places: list[tuple[dict[str, object], _Plan]] = [(event, plan)]
    for place, plan in places:
        if len(places) + len(plan) > _MOST_PLACES:
            return False
        for name, read, as_json in plan:
            inner = place[name]
            if read is not _places_in or not isinstance(inner, dict) or event_bytes.count(as_json) != 1:
                return False
            plan_within = _plan_of(tuple(inner))
            if plan_within:
                places.append((inner, plan_within))
    return event_bytes.startswith(b"{") and (b"\\" not in event_bytes or b"\\u" not in event_bytes)


def _plan_of(names: tuple[str, ...]) -> _Plan:
    """Return the names that are signals or places."""
    plan = _plans.get(names)
    if plan is None:
        # What stands in columns of types, and in nothing else, is what stands around them.
        wrapped = _places_in if are_columns(names) else None
        read_by = {name: wrapped or _reader_of(name) for name in names}
        plan = tuple([(name, read, quoted(name)) for name, read in read_by.items() if read is not None])
        if sum(map(len, names)) + len(names) <= _MOST_NAME_CHARACTERS:
            if len(_plans) >= _MOST_SIGNAL_PLANS:
                _plans.clear()
            _plans[names] = plan
    return plan


def _reader_of(name: str) -> _FieldReader | None:
    # A list that was written as an object has its indices for keys.
    if name.isdigit():
        return _places_in
    outer, dot, inner = name.rpartition(".")
    if dot and outer and is_signal(inner):  # an object that was flattened, as for a table's columns
        return lambda signals, value: signals.doubt({inner: value})
    return _READERS.get(_compared(name))


def _compared(name: str) -> str:
    key = squeezed(name)
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key
