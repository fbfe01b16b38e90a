"""Consent signals: where an event of any dialect may hold one, and how each is read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from typing import Final

from xcapi_core.events.decoding import DECODING_ERRORS, decode_every_value
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import cut_invisible, is_absent, is_object, json_in_text
from xcapi_core.events.shapes import as_list

__all__ = ["SIGNAL_NAMES", "Consent", "Signals", "is_signal", "is_silent", "squeezed"]


class Consent(Enum):
    """What an event, or one field of it, says."""

    YES = "yes"
    NO = "no"
    UNSAID = "unsaid"


_UNREADABLE: Final = "unreadable_consent"
_CATEGORIES_MISSING: Final = "consent_categories_missing"
_UNREAD: Final = Drop.UNREAD_CONSENT.value

_SQUEEZED_NAME: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "_- \t\n\r\f\v")


def squeezed(name: str) -> str:
    """Return a name as it is compared: without case (of ASCII letters), `_`, `-`, white space, invisible characters."""
    return cut_invisible(name).translate(_SQUEEZED_NAME)


@lru_cache(maxsize=64)  # of the configuration's categories
def _all_squeezed(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(squeezed, names))


class Signals:
    """One event's signals, gathered from every place that may hold some."""

    __slots__ = ("_places", "categories", "codes", "names")

    def __init__(self, categories: Sequence[str]) -> None:
        self.categories = _all_squeezed(tuple(categories)) if categories else frozenset()
        self.codes: dict[str, None] = {}
        # The names that matter, as they were met: an object may have said something else of one before.
        self.names: set[str] = set()
        self._places: list[tuple[Mapping[str, object], _Plan]] = []

    def add_place(self, place: Mapping[str, object]) -> None:
        """Add an object whose fields may be signals."""
        if plan := _plan_of(tuple(place)):
            self._places.append((place, plan))

    def read(self) -> list[Consent]:
        """Return all that the places say, and the places inside of them."""
        said: list[Consent] = []
        # A stack, not recursion: text from outside decides how deep it goes.
        while self._places:
            place, plan = self._places.pop()
            for name, read in plan:
                self.names.add(name)
                value = place[name]
                if value is None:
                    continue
                if read is not _places_in:
                    said += [read(self, typed) for typed in _typed_values(value)]
                elif is_object(value) and "key" not in value:
                    self.add_place(value)
                else:
                    said.append(_places_in(self, value))
        return said

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


# The columns in which exports, and Avro's unions, keep a value by its type. The others are null.
_TYPES: Final = frozenset(
    {"boolean", "boolvalue", "double", "doublevalue", "float", "floatvalue", "int", "intvalue", "long", "string"}
    | {"stringvalue", "value"}
)


def _typed_values(value: object) -> Sequence[object]:
    """Return what a value says that is wrapped with its type, else the value itself."""
    if not is_object(value) or len(value) > len(_TYPES) or not value or not _TYPES.issuperset(map(squeezed, value)):
        return (value,)
    return [typed for typed in value.values() if typed is not None]


def _opened(value: object) -> object:
    """Return what JSON text stands for, with all that its objects say where they name one thing twice."""
    return json_in_text(value, decode_every_value) if isinstance(value, str) else value


def _places_in(signals: Signals, value: object) -> Consent:
    """Add the objects in a field: one, a list of them, a list written as an object, any of these as JSON text.

    The list may be one of keys and values, as the BigQuery export's `event_params`.
    """
    unopened = [value]
    while unopened:
        part = unopened.pop()
        if isinstance(part, str):
            opened = _opened(part)
            if not isinstance(opened, str):
                unopened.append(opened)
            elif opened.startswith(("{", "[", '"')) and any(name in squeezed(opened) for name in SIGNAL_NAMES):
                return signals.refuse(_UNREADABLE)  # broken JSON in which a signal is named
        elif isinstance(part, list):
            unopened += part
        elif is_object(part):
            signals.add_place(part)
            if isinstance(key := part.get("key"), str):
                signals.add_place({key: part.get("value")})
    return Consent.UNSAID


# No words for nothing are among these: a consent that is "undefined" was not given.
_YES_WORDS: Final = frozenset({"granted", "allowed", "true", "yes", "1"})
_NO_WORDS: Final = frozenset({"denied", "disallowed", "false", "no", "n", "f", "0"})
_TRUE_WORDS: Final = frozenset({"true", "yes", "y", "t", "1"})
_FALSE_WORDS: Final = frozenset({"false", "no", "n", "f", "0"})


def _is_one_of(value: object, words: frozenset[str], number: int) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in words
    if isinstance(value, Decimal):
        return value.is_finite() and value == number
    return isinstance(value, int | float) and value == number


def _answer(signals: Signals, value: object) -> Consent:
    """Read a field that can grant: true, 1, "granted" and the like are a yes; everything but those is a no."""
    if _is_one_of(value, _YES_WORDS, 1):
        return Consent.YES
    return Consent.NO if _is_one_of(value, _NO_WORDS, 0) else signals.refuse(_UNREADABLE)


def _withdrawal(signals: Signals, value: object, *, no: frozenset[str], number: int, back: frozenset[str]) -> Consent:
    """Read a field that can only withdraw: a word of `no`, or `number`, is a refusal, a word of `back` takes it back.

    Taking it back says no more than that, and so does blank text. What cannot be read is a no.
    """
    if (isinstance(value, str) and is_absent(value)) or _is_one_of(value, back, 1 - number):
        return Consent.UNSAID
    return Consent.NO if _is_one_of(value, no, number) else signals.refuse(_UNREADABLE)


_opt_out = partial(_withdrawal, no=_TRUE_WORDS, number=1, back=_FALSE_WORDS)
_tracking_enabled = partial(_withdrawal, no=_FALSE_WORDS, number=0, back=_TRUE_WORDS)


def _consent(signals: Signals, value: object) -> Consent:
    """Read `consent` or `consent_state`: one answer, or an object of Consent Mode's types or Segment's categories."""
    value = _opened(value)
    if not is_object(value):
        return _answer(signals, value)
    if _READABLE_CONSENT.isdisjoint(map(squeezed, value)):
        return signals.refuse(_UNREADABLE)  # {"marketing": false} says something that is not understood
    signals.add_place(value)
    return Consent.UNSAID


def _category_preferences(signals: Signals, value: object) -> Consent:
    """Read Segment's `categoryPreferences`: {category: bool}."""
    value = _opened(value)
    if not is_object(value) or not value:
        return signals.refuse(_UNREADABLE)
    signals.names.update(value)
    asked = signals.categories
    said: dict[str, list[Consent]] = {}
    for category, preference in value.items():
        if preference is not None and (not asked or squeezed(category) in asked):
            answers = said.setdefault(squeezed(category), [])
            answers += [_answer(signals, typed) for typed in _typed_values(preference)]
    if any(Consent.NO in answers for answers in said.values()):
        return Consent.NO if asked else signals.refuse(_CATEGORIES_MISSING)
    return Consent.YES if asked and all(said.get(category) for category in asked) else Consent.UNSAID


def _consent_management(signals: Signals, value: object) -> Consent:
    """Read RudderStack's `consentManagement`, whose lists are signals of their own."""
    value = _opened(value)
    if not is_object(value) or _READABLE_MANAGEMENT.isdisjoint(map(squeezed, value)):
        return signals.refuse(_UNREADABLE)
    signals.add_place(value)
    return Consent.UNSAID


def _allowed_ids(signals: Signals, value: object) -> Consent:
    ids = _ids(value, of_grant=True)
    if not ids:
        return signals.refuse(_UNREADABLE)
    return Consent.YES if signals.categories and ids >= signals.categories else Consent.UNSAID


def _denied_ids(signals: Signals, value: object) -> Consent:
    ids = set() if isinstance(value, str) and is_absent(value) else _ids(value, of_grant=False)
    if ids is None:
        return signals.refuse(_UNREADABLE)
    if ids and not signals.categories:
        return signals.refuse(_CATEGORIES_MISSING)
    return Consent.UNSAID if ids.isdisjoint(signals.categories) else Consent.NO


def _ids(value: object, *, of_grant: bool) -> set[str] | None:
    """Return the ids of a list, or of an object's keys (some providers' form); None where they cannot be read.

    An object with only digits for keys may be a list. Where keys or values may be the ids, both are denied.
    """
    value = _opened(value)
    if is_object(value):
        is_list = all(name.isdigit() for name in value)
        if of_grant:
            keys = [key for key, granted in value.items() if granted is True or isinstance(granted, str)]
            value = list(value.values()) if is_list else keys
        else:
            value = [*value, *(item for item in value.values() if isinstance(item, str))]
    if not isinstance(value, list):
        return None
    ids = [item for item in value if item is not None]
    if any(isinstance(item, bool) or not isinstance(item, str | int) for item in ids):
        return None
    return {squeezed(str(item)) for item in ids}


def _texts_in(value: object) -> Iterable[str]:
    """Return the text of a coded signal as it is compared, from a list in whatever shape and from JSON as text, too."""
    opened = as_list(value)
    for item in opened if isinstance(opened, list) else (opened,):
        if isinstance(item, str):
            yield cut_invisible(item).strip().strip("\"'").strip()


def _any_no_wins(said: Sequence[Consent]) -> Consent:
    if Consent.NO in said:
        return Consent.NO
    return Consent.YES if Consent.YES in said else Consent.UNSAID


_GCS_SAYS: Final = {"0": Consent.NO, "1": Consent.YES}
# The letters of a denial count in capitals too: no refusal should hang on its spelling.
_GCD_SAYS: Final = {
    **dict.fromkeys("nrtv", Consent.YES),
    **dict.fromkeys("mpquMPQU", Consent.NO),
    "l": Consent.UNSAID,
}


def _gcs(_signals: Signals, value: object) -> Consent:
    """Read Google's consent status, `G1` and one character a type, of which the first is `ad_storage`."""
    texts = [text for text in _texts_in(value) if text[:2].upper() == "G1"]
    return _any_no_wins([_GCS_SAYS.get(text[2:3], Consent.UNSAID) for text in texts])


def _gcd(_signals: Signals, value: object) -> Consent:
    """Read Google's consent defaults: `ad_storage` at index 2, `ad_user_data` at index 6."""
    letters = [text[index : index + 1] for text in _texts_in(value) for index in (2, 6)]
    said = _any_no_wins([_GCD_SAYS.get(letter, Consent.UNSAID) for letter in letters])
    return said if said is Consent.NO or _GCD_SAYS.keys() >= set(letters) else Consent.UNSAID


def _us_privacy(_signals: Signals, value: object) -> Consent:
    """Read the IAB's US privacy string; its third character is the opt-out of sale."""
    return Consent.NO if any(text[2:3] in {"Y", "y"} for text in _texts_in(value)) else Consent.UNSAID


def _privacy_info(signals: Signals, value: object) -> Consent:
    """Read the BigQuery export's `privacy_info`, of which an export without nulls may leave an empty object."""
    value = _opened(value)
    if is_object(value):
        signals.add_place(value)
    elif value != []:
        return signals.refuse(_UNREADABLE)
    return Consent.UNSAID


def _ads_storage(signals: Signals, value: object) -> Consent:
    """Read its `ads_storage`: Yes, No or Unset."""
    is_unset = isinstance(value, str) and value.strip().lower() == "unset"
    return Consent.UNSAID if is_unset else _answer(signals, value)


def _uninterpreted(signals: Signals, value: object) -> Consent:
    return Consent.UNSAID if is_absent(value) or value in ([], {}) else signals.note(_UNREAD)


_SignalReader = Callable[[Signals, object], Consent]
_Plan = Sequence[tuple[str, _SignalReader]]
_SIGNALS: Final[Mapping[str, _SignalReader]] = {
    "consent": _consent,
    "consentstate": _consent,
    "adstorage": _answer,
    "aduserdata": _answer,
    "optout": _opt_out,
    "limitadtracking": _opt_out,
    "islimitedadtracking": _opt_out,  # the BigQuery export's device
    "gpc": _opt_out,
    "nonpersonalizedads": _opt_out,  # the Measurement Protocol's
    "adtrackingenabled": _tracking_enabled,  # Segment's context.device
    "gcs": _gcs,
    "gcd": _gcd,
    "usprivacy": _us_privacy,
    "privacyinfo": _privacy_info,
    "adsstorage": _ads_storage,
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
    "context",
    "conversions",
    "device",
    "ecommerce",
    "eventparams",
    "events",
    "identifiers",
    "params",
    "properties",
    "traits",
    "user",
    "userdata",
    "userproperties",
)
_READERS: Final[Mapping[str, _SignalReader]] = {
    **dict.fromkeys((*_PLACES, *_TYPES - {"value"}), _places_in),
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


def is_silent(event: object) -> bool:
    """Tell whether no name in an event's own fields could be a signal, or hold one."""
    return isinstance(event, dict) and not _plan_of(tuple(event))


def _plan_of(names: tuple[str, ...]) -> _Plan:
    """Return the names that are signals or places, each with its reader."""
    plan = _plans.get(names)
    if plan is None:
        plan = tuple([(name, read) for name in names if (read := _reader_of(name)) is not None])
        if sum(map(len, names)) + len(names) <= _MOST_NAME_CHARACTERS:
            if len(_plans) >= _MOST_SIGNAL_PLANS:
                _plans.clear()
            _plans[names] = plan
    return plan


def _reader_of(name: str) -> _SignalReader | None:
    # A list that was written as an object has its indices for keys.
    return _places_in if name.isdigit() else _READERS.get(_compared(name))


def _compared(name: str) -> str:
    key = squeezed(name)
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key
