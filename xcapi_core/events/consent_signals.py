"""Consent signals: where an event of any dialect may hold one, and what each says."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from xcapi_core.events.consent_values import (
    TYPED_COLUMNS,
    Consent,
    ids_in,
    opened_json,
    read_ads_storage,
    read_answer,
    read_gcd,
    read_gcs,
    read_opt_out,
    read_tracking_enabled,
    read_us_privacy,
    squeezed,
    typed_values,
)
from xcapi_core.events.decoding import DECODING_ERRORS, decode_every_value
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_absent, is_object

__all__ = ["SIGNAL_NAMES", "Signals", "is_signal", "is_silent", "quoted"]


_UNREADABLE: Final = "unreadable_consent"
_CATEGORIES_MISSING: Final = "consent_categories_missing"
_UNREAD: Final = Drop.UNREAD_CONSENT.value


@lru_cache(maxsize=64)  # of the configuration's categories
def _all_squeezed(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(squeezed, names))


class Signals:
    """One event's signals, gathered from every place that may hold some."""

    __slots__ = ("_doubtful", "_places", "categories", "codes", "names", "opened_text", "rows")

    def __init__(self, categories: Sequence[str]) -> None:
        self.categories = _all_squeezed(tuple(categories)) if categories else frozenset()
        self.codes: dict[str, None] = {}
        # The names that matter, as they were met: an object may have said something else of one before.
        self.names: set[str] = set()
        # How many rows of keys and values were met in the last reading, by what they call their key.
        self.rows: dict[str, int] = {}
        self.opened_text = False
        self._places: list[tuple[Mapping[str, object], _Plan]] = []
        self._doubtful: list[object] = []

    def add_place(self, place: Mapping[str, object]) -> None:
        """Add an object whose fields may be signals."""
        if plan := _plan_of(tuple(place)):
            self._places.append((place, plan))

    def doubt(self, value: object) -> Consent:
        """Add what may hold places where nothing can grant: only a refusal in it counts."""
        self._doubtful.append(value)
        return Consent.UNSAID

    def read(self) -> list[Consent]:
        """Return all that the places say, and the places inside of them."""
        self.rows.clear()
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
                    self.rows[name] = self.rows.get(name, 0) + 1
                    if not isinstance(value, str) or _plan_of((value,)):
                        self._add_row(value, place)
                    continue
                self.names.add(name)
                if value is None:
                    continue
                if read is _places_in:
                    if is_object(value):
                        self.add_place(value)
                    else:
                        said.append(_places_in(self, value))
                elif is_object(value):
                    self.names.update(value)
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
            self.names.add(column)
            if squeezed(column) == "value":
                for name in names:
                    for one in value if isinstance(key, list) and isinstance(value, list) else (value,):
                        self.add_place({name: one})

    def add_all_of(self, event: bytes) -> Consent:
        """Add the places of an event with every value of what it names twice."""
        try:
            return _places_in(self, decode_every_value(event.decode("utf-8", "replace")))
        except DECODING_ERRORS:
            return self.refuse(_UNREADABLE)

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
        if isinstance(part, str):
            opened = opened_json(part)
            if not isinstance(opened, str):
                signals.opened_text = True
                unopened.append(opened)
            elif opened.startswith(("{", "[", '"')) and any(name in squeezed(opened) for name in SIGNAL_NAMES):
                return signals.refuse(_UNREADABLE)  # broken JSON in which a signal is named
        elif isinstance(part, list):
            unopened += part
        elif is_object(part):
            signals.add_place(part)
    return Consent.UNSAID


def _by_value(read: Callable[[object], Consent | None]) -> "_SignalReader":
    """Return the reader of a signal that its value alone decides; what cannot be read is a no."""

    def reader(signals: Signals, value: object) -> Consent:
        said = read(value)
        return signals.refuse(_UNREADABLE) if said is None else said

    return reader


_answer = _by_value(read_answer)


def _consent(signals: Signals, value: object) -> Consent:
    """Read `consent` or `consent_state`: one answer, or an object of Consent Mode's types or Segment's categories."""
    value = opened_json(value)
    if not is_object(value):
        return _answer(signals, value)
    if _READABLE_CONSENT.isdisjoint(map(squeezed, value)):
        return signals.refuse(_UNREADABLE)  # {"marketing": false} says something that is not understood
    signals.add_place(value)
    read = {name for name, _, _ in _plan_of(tuple(value))}
    for name, part in value.items():
        if name not in read:  # {"ad_storage": "granted", "update": {"ad_storage": "denied"}}
            signals.doubt(part)
    return Consent.UNSAID


def _category_preferences(signals: Signals, value: object) -> Consent:
    """Read Segment's `categoryPreferences`: {category: bool}."""
    value = opened_json(value)
    if not is_object(value) or not value:
        return signals.refuse(_UNREADABLE)
    signals.names.update(value)
    asked = signals.categories
    said: dict[str, list[Consent]] = {}
    for category, preference in value.items():
        if preference is not None and (not asked or squeezed(category) in asked):
            answers = said.setdefault(squeezed(category), [])
            answers += [_answer(signals, typed) for typed in typed_values(preference)]
    if any(Consent.NO in answers for answers in said.values()):
        return Consent.NO if asked else signals.refuse(_CATEGORIES_MISSING)
    return Consent.YES if asked and all(said.get(category) for category in asked) else Consent.UNSAID


def _consent_management(signals: Signals, value: object) -> Consent:
    """Read RudderStack's `consentManagement`, whose lists are signals of their own."""
    value = opened_json(value)
    if not is_object(value) or _READABLE_MANAGEMENT.isdisjoint(map(squeezed, value)):
        return signals.refuse(_UNREADABLE)
    signals.add_place(value)
    return Consent.UNSAID


def _allowed_ids(signals: Signals, value: object) -> Consent:
    ids = ids_in(value, of_grant=True)
    if not ids:
        return signals.refuse(_UNREADABLE)
    return Consent.YES if signals.categories and ids >= signals.categories else Consent.UNSAID


def _denied_ids(signals: Signals, value: object) -> Consent:
    ids = set() if isinstance(value, str) and is_absent(value) else ids_in(value, of_grant=False)
    if ids is None:
        return signals.refuse(_UNREADABLE)
    if ids and not signals.categories:
        return signals.refuse(_CATEGORIES_MISSING)
    return Consent.UNSAID if ids.isdisjoint(signals.categories) else Consent.NO


def _privacy_info(signals: Signals, value: object) -> Consent:
    """Read the BigQuery export's `privacy_info`, of which an export without nulls may leave an empty object."""
    value = opened_json(value)
    if is_object(value):
        signals.add_place(value)
    elif value != []:
        return signals.refuse(_UNREADABLE)
    return Consent.UNSAID


def _key_of_row(_signals: Signals, _key: object) -> Consent:
    return Consent.UNSAID  # it takes the row to tell what is said of it


def _uninterpreted(signals: Signals, value: object) -> Consent:
    return Consent.UNSAID if is_absent(value) or value in ([], {}) else signals.note(_UNREAD)


_SignalReader = Callable[[Signals, object], Consent]
# The names that matter, each with its reader, and as it stands in JSON.
_Plan = Sequence[tuple[str, _SignalReader, bytes]]
_SIGNALS: Final[Mapping[str, _SignalReader]] = {
    "consent": _consent,
    "consentstate": _consent,
    "adstorage": _answer,
    "aduserdata": _answer,
    "optout": _by_value(read_opt_out),
    "limitadtracking": _by_value(read_opt_out),
    "islimitedadtracking": _by_value(read_opt_out),  # the BigQuery export's device
    "gpc": _by_value(read_opt_out),
    "nonpersonalizedads": _by_value(read_opt_out),  # the Measurement Protocol's
    "adtrackingenabled": _by_value(read_tracking_enabled),  # Segment's context.device
    "gcs": _by_value(read_gcs),
    "gcd": _by_value(read_gcd),
    "usprivacy": _by_value(read_us_privacy),
    "privacyinfo": _privacy_info,
    "adsstorage": _by_value(read_ads_storage),
    "categorypreferences": _category_preferences,
    "consentmanagement": _consent_management,
    "allowedconsentids": _allowed_ids,
    "deniedconsentids": _denied_ids,
    **dict.fromkeys(("dataprocessingoptions", "dnt", "gdprconsent", "gpp"), _uninterpreted),
}
SIGNAL_NAMES: Final = tuple(_SIGNALS)
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
    "page",
    "params",
    "properties",
    "traits",
    "user",
    "userdata",
    "userproperties",
)
_READERS: Final[Mapping[str, _SignalReader]] = {
    **dict.fromkeys((*_PLACES, *TYPED_COLUMNS - {"value"}), _places_in),
    "key": _key_of_row,
    **_SIGNALS,
}
# What a readable consent object holds at least one of.
_READABLE_CONSENT: Final = frozenset(
    {*_SIGNALS, "adpersonalization", "analyticsstorage", "functionalitystorage", "personalizationstorage"}
    | {"securitystorage", "destinationpreferences"}
)
_READABLE_MANAGEMENT: Final = frozenset({"allowedconsentids", "deniedconsentids", "provider", "resolutionstrategy"})
# Server containers write the parameters of a request with one of these before the name.
_PREFIXES: Final = ("xga", "xsst")


def is_signal(name: str) -> bool:
    """Tell whether a field of this name may say something of consent."""
    return _compared(name) in _SIGNALS


# Events of one publisher have the same keys, so which of them matter is worked out once for each set of keys. Beyond
# these limits it is worked out anew each time, so that nobody can fill the memory with keys.
_MOST_SIGNAL_PLANS: Final = 512
_MOST_NAME_CHARACTERS: Final = 4_000
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
        for name, read, quoted in plan:
            inner = place[name]
            if read is not _places_in or not isinstance(inner, dict) or event_bytes.count(quoted) != 1:
                return False
            plan_within = _plan_of(tuple(inner))
            if plan_within:
                places.append((inner, plan_within))
    return event_bytes.startswith(b"{") and (b"\\" not in event_bytes or b"\\u" not in event_bytes)


def quoted(name: str) -> bytes:
    """Return a name as it stands in JSON, unless it is escaped."""
    return b'"%b"' % name.encode("utf-8", "replace")


def _plan_of(names: tuple[str, ...]) -> _Plan:
    """Return the names that are signals or places."""
    plan = _plans.get(names)
    if plan is None:
        plan = tuple([(name, read, quoted(name)) for name in names if (read := _reader_of(name)) is not None])
        if sum(map(len, names)) + len(names) <= _MOST_NAME_CHARACTERS:
            if len(_plans) >= _MOST_SIGNAL_PLANS:
                _plans.clear()
            _plans[names] = plan
    return plan


def _reader_of(name: str) -> _SignalReader | None:
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
