"""The dialect `x`: X's own conversion object, with conveniences."""

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Final

from xcapi_core.conversions import Conversion
from xcapi_core.events.dedup import DEDUP_KEYS, dedup_names
from xcapi_core.events.draft import Draft
from xcapi_core.events.drops import Drop
from xcapi_core.events.envelopes import Envelope
from xcapi_core.events.fields import is_absent, is_object
from xcapi_core.events.match_keys import MatchKeys, stands_alone
from xcapi_core.events.names import OVERRIDES, PERSON, Names, Table, merged, spread
from xcapi_core.events.opened import NOTHING, Opened, first_pixel_id
from xcapi_core.events.person import (
    ADDERS,
    EventPlan,
    add_click_id,
    add_kinds,
    lone_identifier,
    no_identifier,
    plan_event,
)
from xcapi_core.events.shapes import as_list, as_object
from xcapi_core.events.source import EventSource
from xcapi_core.events.tags import read_tag
from xcapi_core.outcomes import Expired, Invalid
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["open_x", "read_x", "table_of"]

_EVENT: Final = (0,)
_AT: Final = ("", "user.", "user_data.")
_OWN: Final = spread(
    _EVENT,
    {
        "time": ("time", "timestamp"),
        "content_ids": ("content_ids",),
        "content_type": ("content_type",),
        "click_url": ("event_source_url",),
        "url": ("event_source_url",),
        # Where an event may have identifiers that are not its own fields.
        "within": ("identifiers", "user", "user_data"),
    },
)
# Here they are no overrides, so the order is X's own.
_MONEY: Final = spread(
    _EVENT,
    {
        "amount": ("value", "conversion_value", "value_micros"),
        "currency": ("price_currency", "currency", "conversion_currency"),
        "contents": ("contents", "items", "products"),
    },
)
_NAMES: Final[Names] = merged(_MONEY, spread(_EVENT, OVERRIDES), _OWN, spread((0, 1, 2), PERSON))
_ELEMENT: Final = Table(spread(_EVENT, PERSON), lambda names: names)
# One person's identifiers; each element may hold lists of its own.
_MOST_ELEMENTS: Final = 20


def open_x(event: Mapping[str, object], envelope: Envelope | None) -> Opened:
    """Return the places of an event in X's own shape, or near it."""
    user, data = event.get("user"), event.get("user_data")
    places = (event, NOTHING if user is None else _inner(user), NOTHING if data is None else _inner(data))
    own = event.get("pixel_id")
    if envelope is not None and own is None:
        own = first_pixel_id(envelope.fields)
    return Opened(places=places, at=_AT, pixel_id=own)


def read_x(
    opened: Opened, pixel: PixelSettings, source: EventSource, settings: Settings
) -> Conversion | Invalid | Expired:
    """Read one event into a Conversion."""
    event = opened.places[0]
    tag = read_tag(event, pixel, format_is_stated=source.format_is_stated)
    table = table_of(pixel.conversion_id_from)
    plan = table.plan_of_one(event) if opened.places[1] is NOTHING is opened.places[2] else table.plan(opened.places)
    draft = Draft(places=opened.places, at=opened.at, names=plan.names, source=source, settings=settings)
    identifiers = _identifiers(draft, plan, settings.default_phone_region)
    return draft.conversion(pixel, tag, identifiers or Invalid(no_identifier(draft.dropped)))


@lru_cache(maxsize=256)
def table_of(conversion_id_from: tuple[str, ...] | None) -> Table[EventPlan]:
    """Return the names of the dialect for a pixel's `conversion_id_from`."""
    keys = spread(_EVENT, {"key": dedup_names(conversion_id_from or DEDUP_KEYS)})
    return Table(merged(_NAMES, keys), partial(plan_event, never_lone=("within",)))


def _inner(value: object) -> Mapping[str, object]:
    user = as_object(value)
    return user if is_object(user) else NOTHING


def _identifiers(draft: Draft, plan: EventPlan, phone_region: str | None) -> list[dict[str, str]]:
    """Return X's identifier objects, each fit to stand alone; none where nothing is usable.

    `identifiers` stay separate where every element stands alone; what the event says at the top or under `user` is then
    merged into the first. Otherwise everything is merged into one.
    """
    event = draft.places[0]
    lone = lone_identifier(draft.places, plan, phone_region)
    if lone is not None:
        return [lone]
    merged_ = MatchKeys(phone_region, draft.dropped)
    add_kinds(merged_, draft.places, plan.names, ADDERS)
    for name, found in zip(("user", "user_data"), draft.places[1:], strict=True):
        given = event.get(name)
        if given is not None and found is NOTHING and not is_absent(given):
            draft.dropped.append(Drop.INVALID_USER)
    draft.dropped.extend(merged_.empty)
    if not merged_.twclid and "click_url" in plan.names:
        add_click_id(merged_, draft.places, plan.names)
    given = event.get("identifiers")
    if given is None or is_absent(given):
        return [identifier for identifier in merged_.objects() if stands_alone(identifier)]
    elements = _read_elements(given, phone_region, draft.dropped)
    apart = all(stands_alone(element.objects()[0]) for element in elements)
    for element in elements[:1] if apart else elements:
        merged_.absorb(element)
    objects = merged_.objects()
    if apart:
        objects += [identifier for element in elements[1:] for identifier in element.objects()]
    return [identifier for identifier in _distinct(objects) if stands_alone(identifier)]


def _read_elements(given: object, phone_region: str | None, dropped: list[Drop]) -> list[MatchKeys]:
    """Return what each element of `identifiers` holds, leaving out the elements that hold nothing usable."""
    given = as_list(given)
    if not isinstance(given, list | dict):
        dropped.append(Drop.INVALID_IDENTIFIERS)
        return []
    raw_elements: list[object] = given if isinstance(given, list) else [given]
    if len(raw_elements) > _MOST_ELEMENTS:
        dropped.append(Drop.TOO_MANY_IDENTIFIERS)
    elements = []
    for raw in raw_elements[:_MOST_ELEMENTS]:
        fields = as_object(raw)
        if not is_object(fields):
            dropped.append(Drop.INVALID_IDENTIFIER)
            continue
        element = MatchKeys(phone_region, dropped)
        add_kinds(element, (fields,), _ELEMENT.plan_of_one(fields), ADDERS)
        dropped += element.empty
        if element.objects()[0]:
            elements.append(element)
    return elements


def _distinct(objects: list[dict[str, str]]) -> list[dict[str, str]]:
    distinct: list[dict[str, str]] = []
    for identifier in objects:
        if identifier not in distinct:
            distinct.append(identifier)
    return distinct
