"""The dialect `ga4`: Google Analytics 4, as its Measurement Protocol, server containers and BigQuery export have it.

Sources: GA4 Measurement Protocol reference; Tag Manager, "Common event data"; "[GA4] BigQuery Export schema".
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Final

from xcapi_core.conversions import Conversion
from xcapi_core.events.dedup import DEDUP_KEYS, dedup_names
from xcapi_core.events.draft import Draft
from xcapi_core.events.drops import Drop
from xcapi_core.events.envelopes import Envelope
from xcapi_core.events.fields import is_absent, is_object, kind_of, read_text
from xcapi_core.events.match_keys import MatchKeys
from xcapi_core.events.names import CLICK_IDS, OVERRIDES, PERSON, Names, Table, merged, spread
from xcapi_core.events.opened import NOTHING, Opened, first_pixel_id, is_scanner, not_a_body, path_within
from xcapi_core.events.person import (
    EventPlan,
    add_click_id,
    add_first,
    add_kinds,
    identifiers_of,
    lone_identifier,
    plan_event,
)
from xcapi_core.events.shapes import as_list, as_object
from xcapi_core.events.source import EventSource
from xcapi_core.events.tags import SYNONYMS, find_tag
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["open_ga4", "read_ga4", "table_of"]

# The places: an event's parameters, the event itself, what it inherits of the body around it, its sale, its user.
_PARAMS, _EVENT, _BODY, _SALE, _USER = range(5)
_OWN: Final = (_PARAMS, _EVENT)
_INHERITED: Final = (*_OWN, _BODY)

_NAMES: Final[Names] = merged(
    spread(_OWN, OVERRIDES),
    spread(_OWN, {"page": ("event_source_url",)}),
    spread(_INHERITED, {"time": ("timestamp_micros",), "page": ("page_location",)}),
    spread(
        _OWN,
        {
            "time": ("event_timestamp", "event_time", "timestamp"),
            "amount": ("value",),
            "currency": ("currency",),
            "contents": ("items",),
            "search": ("search_term",),
        },
    ),
    spread((_SALE,), {"amount": ("purchase_revenue", "value"), "currency": ("currency",), "contents": ("items",)}),
    spread(_INHERITED, {"ip_address": ("ip_override",), "user_agent": ("user_agent",)}),
    spread((_USER, *_OWN), {kind: names for kind, names in PERSON.items() if kind not in ("twclid", "user_agent")}),
    spread((_USER, *_INHERITED), {"twclid": CLICK_IDS, "user_agent": ("user_agent",)}),
    spread(_INHERITED, {"click_url": ("page_location", "event_source_url")}),
)
_PEOPLE: Final = ("email", "phone", "hashed_email", "hashed_phone_number")
_FIRST_OF: Final = ("ip_address", "user_agent", "twclid")
_PAGES: Final = ("page_location", "page_hostname", "event_source_url")
_BODIES: Final = ("events", "conversions")
# The export's columns; then as Protocol Buffers write them in JSON, which is how Dataflow and others hand rows on.
_TYPED_VALUES: Final = (
    *("string_value", "int_value", "double_value", "float_value"),
    *("stringValue", "intValue", "doubleValue", "floatValue"),
)
_SYNONYMS: Final = SYNONYMS["ga4"]


def open_ga4(event: Mapping[str, object], envelope: Envelope | None) -> Opened | Problem:
    """Return the places of one event in any of its shapes; `envelope` is the body around it."""
    at = path_within(envelope)
    params = event.get("params")
    if params is None:
        if event.get("event_name") is None and event.get("name") is None:
            problem = not_a_body(event, _BODIES)
            if problem is not None:
                return problem
        name = event.get("event_name") or event.get("name")
        own = _exported(event.get("event_params"), f"{at}event_params")
        at_params = f"{at}event_params."
    else:
        # `name` is the event's; a parameter called so is anybody's.
        name = event.get("name") or event.get("event_name")
        given = as_object(params)
        own = given if is_object(given) else _not(given, f"{at}params", "a JSON object")
        at_params = f"{at}params."
    if isinstance(own, Problem):
        return own
    around = (own, event, NOTHING if envelope is None else envelope.fields)
    return Opened(
        places=(*around, _part("ecommerce", own, event), _part("user_data", *around)),
        at=(at_params, at, "", "ecommerce.", "user_data."),
        name=name,
        pixel_id=first_pixel_id(*around),
        is_unwanted=any(is_scanner(place[name]) for place in around for name in _PAGES if name in place),
    )


def read_ga4(
    opened: Opened, pixel: PixelSettings, source: EventSource, settings: Settings
) -> Conversion | Invalid | Expired | Skipped:
    """Read one event into a Conversion."""
    name = read_text(opened.name)
    if name is None:
        return Invalid(_not(opened.name, "event_name", "the event's name, as text"))
    tag = find_tag(pixel.event_ids, name, _SYNONYMS)
    if tag is None:
        return Skipped(SkipReason.UNWANTED)
    plan = table_of(pixel.conversion_id_from).plan(opened.places)
    draft = Draft(places=opened.places, at=opened.at, names=plan.names, source=source, settings=settings)
    identifiers = _identifiers(draft, plan, settings.default_phone_region)
    if isinstance(identifiers, Skipped):
        return identifiers
    return draft.conversion(pixel, tag, identifiers)


@lru_cache(maxsize=256)
def table_of(conversion_id_from: tuple[str, ...] | None) -> Table[EventPlan]:
    """Return the names of the dialect for a pixel's `conversion_id_from`."""
    names = dedup_names(conversion_id_from or (*DEDUP_KEYS, "event_id"))
    return Table(merged(_NAMES, spread((*_OWN, _SALE), {"key": names})), partial(plan_event, first_of=_FIRST_OF))


def _not(value: object, path: str, expected: str) -> Problem:
    return Problem(path=path, found=kind_of(value), expected=expected)


def _part(name: str, *places: Mapping[str, object]) -> Mapping[str, object]:
    """Return the object of this name from the first place that has something there."""
    for place in places:
        value = place.get(name)
        if value is not None and not is_absent(value):
            part = as_object(value)
            if part:
                return part if is_object(part) else NOTHING
    return NOTHING


def _exported(rows: object, path: str) -> Mapping[str, object] | Problem:
    """Return the parameters of a row of the export as an object; its other types' columns are null."""
    if rows is None:
        return NOTHING
    rows = as_list(rows)
    if is_object(rows):
        return rows
    if not isinstance(rows, list):
        return _not(rows, path, "a list of keys and values")
    params: dict[str, object] = {}
    for given in rows:
        row = given if isinstance(given, dict) else as_object(given)
        if isinstance(row, dict) and isinstance(key := row.get("key"), str):
            value = row.get("value")
            value = _typed(value if isinstance(value, dict) else as_object(value))
            if value is not None:
                params[key] = value
    return params


def _typed(value: object) -> object:
    """Return the value in the column of its type; a value without columns as it is."""
    if not isinstance(value, dict):
        return value
    for kind in _TYPED_VALUES:
        typed = value.get(kind)
        if typed is not None:
            return typed
    return None


def _identifiers(draft: Draft, plan: EventPlan, phone_region: str | None) -> list[dict[str, str]] | Invalid | Skipped:
    places, names = draft.places, plan.names
    if places[_USER] is not NOTHING:
        lone = lone_identifier(places, plan, phone_region)
        if lone is not None:
            return [lone]
    match_keys = MatchKeys(phone_region, draft.dropped)
    if places[_USER] is NOTHING:
        user = next((value for at in _INHERITED if not is_absent(value := places[at].get("user_data"))), None)
        if as_object(user) not in (None, {}):
            draft.dropped.append(Drop.INVALID_USER)
    add_kinds(match_keys, places, names, _PEOPLE)
    for kind in _FIRST_OF:
        add_first(match_keys, places, names, kind)
    if not match_keys.twclid:
        add_click_id(match_keys, places, names)
    return identifiers_of(match_keys)
