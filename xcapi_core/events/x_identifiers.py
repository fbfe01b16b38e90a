"""The identifiers of an `x` event: its conveniences, its `user`, and X's own `identifiers`."""

from collections.abc import Mapping

from xcapi_core.drops import Drop
from xcapi_core.identity import Identity, stands_alone
from xcapi_core.values import is_absent, is_object

__all__ = ["read_identifiers"]

_FIELDS = (
    ("email", Identity.add_email),
    ("phone", Identity.add_phone),
    ("hashed_email", Identity.add_hashed_email),
    ("hashed_phone_number", Identity.add_hashed_phone_number),
    ("twclid", Identity.add_twclid),
    ("ip_address", Identity.add_ip_address),
    ("user_agent", Identity.add_user_agent),
)

# One person's identifiers; each element may hold lists of its own.
_MOST_ELEMENTS = 20


def read_identifiers(
    event: Mapping[str, object], phone_region: str | None, dropped: list[Drop]
) -> list[dict[str, str]]:
    """Return X's identifier objects, each fit to stand alone; none where nothing is usable.

    `identifiers` stay separate where every element stands alone; what the event says at the top or under `user`
    is then merged into the first. Otherwise everything is merged into one.
    """
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
