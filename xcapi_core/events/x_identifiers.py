"""The identifiers of an `x` event: its conveniences, its `user`, and X's own `identifiers`."""

from collections.abc import Callable, Mapping

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_absent, is_object, read_text
from xcapi_core.events.identifiers import hash_email, hash_phone, read_digest, read_ip_address, read_twclid
from xcapi_core.events.identity import Identity, stands_alone
from xcapi_core.records import Record

__all__ = ["IdentifierShape", "identifier_shape_of", "read_identifiers"]

_FIELDS = (
    ("email", Identity.add_email),
    ("phone", Identity.add_phone),
    ("hashed_email", Identity.add_hashed_email),
    ("hashed_phone_number", Identity.add_hashed_phone_number),
    ("twclid", Identity.add_twclid),
    ("ip_address", Identity.add_ip_address),
    ("user_agent", Identity.add_user_agent),
)
# In X's order: what a field that stands alone becomes, and how its text is read.
_LONE_FIELDS: tuple[tuple[str, str, Callable[[str, str | None], str | Drop]], ...] = (
    ("twclid", "twclid", lambda text, _: read_twclid(text)),
    ("email", "hashed_email", lambda text, _: hash_email(text)),
    ("hashed_email", "hashed_email", lambda text, _: read_digest(text, Drop.INVALID_HASHED_EMAIL)),
    ("phone", "hashed_phone_number", hash_phone),
    ("hashed_phone_number", "hashed_phone_number", lambda text, _: read_digest(text, Drop.INVALID_HASHED_PHONE_NUMBER)),
    ("ip_address", "ip_address", lambda text, _: read_ip_address(text)),
    ("user_agent", "user_agent", lambda text, _: text),
)

# One person's identifiers; each element may hold lists of its own.
_MOST_ELEMENTS = 20


class IdentifierShape(Record, frozen=True, kw_only=True, gc=False):
    """Where an event has identifiers.

    `lone` names a field for each kind, where every kind has no more than one and nothing has to be merged.
    """

    lone: tuple[tuple[str, str, Callable[[str, str | None], str | Drop]], ...]


def identifier_shape_of(keys: tuple[str, ...]) -> IdentifierShape:
    """Work out where an event with these keys has identifiers."""
    lone = tuple(field for field in _LONE_FIELDS if field[0] in keys)
    kinds = {kind for _, kind, _ in lone}
    return IdentifierShape(
        lone=() if len(kinds) < len(lone) or not {"user", "identifiers"}.isdisjoint(keys) else lone,
    )


def read_identifiers(
    event: Mapping[str, object], shape: IdentifierShape, phone_region: str | None, dropped: list[Drop]
) -> list[dict[str, str]]:
    """Return X's identifier objects, each fit to stand alone; none where nothing is usable.

    `identifiers` stay separate where every element stands alone; what the event says at the top or under `user`
    is then merged into the first. Otherwise everything is merged into one.
    """
    lone = _read_lone(event, shape, phone_region)
    return [lone] if lone else _read_all(event, phone_region, dropped)


def _read_lone(event: Mapping[str, object], shape: IdentifierShape, phone_region: str | None) -> dict[str, str] | None:
    """Return the one object of an event whose identifiers are texts, one of a kind, and all usable; else None.

    Nearly every event is so, and then there is nothing to weigh.
    """
    identifier: dict[str, str] = {}
    for name, kind, read in shape.lone:
        value = event[name]
        text = read_text(value) if isinstance(value, str) else None
        found = None if text is None else read(text, phone_region)
        if not isinstance(found, str):
            return None
        identifier[kind] = found
    return identifier if stands_alone(identifier) else None


def _read_all(event: Mapping[str, object], phone_region: str | None, dropped: list[Drop]) -> list[dict[str, str]]:
    merged = Identity(phone_region, dropped)
    _fill(merged, event)
    user = event.get("user")
    if is_object(user):
        _fill(merged, user)
    elif not is_absent(user):
        dropped.append(Drop.INVALID_USER)
    given = event.get("identifiers")
    if is_absent(given):
        return [identifier for identifier in merged.objects() if stands_alone(identifier)]
    elements = _read_elements(given, phone_region, dropped)
    apart = all(stands_alone(element.objects()[0]) for element in elements)
    for element in elements[:1] if apart else elements:
        merged.absorb(element)
    objects = merged.objects()
    if apart:
        objects += [identifier for element in elements[1:] for identifier in element.objects()]
    return [identifier for identifier in _distinct(objects) if stands_alone(identifier)]


def _fill(identity: Identity, fields: Mapping[str, object]) -> None:
    for name, add in _FIELDS:
        if (value := fields.get(name)) is not None:
            add(identity, value)


def _read_elements(given: object, phone_region: str | None, dropped: list[Drop]) -> list[Identity]:
    """Return what each element of `identifiers` holds, leaving out the elements that hold nothing usable."""
    if not isinstance(given, list | dict):
        dropped.append(Drop.INVALID_IDENTIFIERS)
        return []
    raw_elements: list[object] = given if isinstance(given, list) else [given]
    if len(raw_elements) > _MOST_ELEMENTS:
        dropped.append(Drop.TOO_MANY_IDENTIFIERS)
    elements = []
    for raw in raw_elements[:_MOST_ELEMENTS]:
        if not is_object(raw):
            dropped.append(Drop.INVALID_IDENTIFIER)
            continue
        element = Identity(phone_region, dropped)
        _fill(element, raw)
        if element.objects()[0]:
            elements.append(element)
    return elements


def _distinct(objects: list[dict[str, str]]) -> list[dict[str, str]]:
    distinct: list[dict[str, str]] = []
    for identifier in objects:
        if identifier not in distinct:
            distinct.append(identifier)
    return distinct
