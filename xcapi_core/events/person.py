"""Who converted, gathered from the places of an event."""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from xcapi_core.events.drops import Drop
from xcapi_core.events.identifiers import hash_email, hash_phone, read_twclid
from xcapi_core.events.ip_addresses import read_ip_address
from xcapi_core.events.match_keys import (
    MatchKeys,
    read_hashed_email,
    read_hashed_phone,
    read_user_agent,
    stands_alone,
)
from xcapi_core.events.names import Names, Places
from xcapi_core.events.pages import click_id_of_query, click_id_of_url
from xcapi_core.events.shapes import as_list
from xcapi_core.outcomes import Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.records import Record

__all__ = [
    "ADDERS",
    "EventPlan",
    "add_click_id",
    "add_first",
    "add_kinds",
    "identifiers_of",
    "lone_identifier",
    "no_identifier",
    "plan_event",
]

ADDERS: Final[Mapping[str, Callable[[MatchKeys, object], None]]] = {
    "email": MatchKeys.add_email,
    "phone": MatchKeys.add_phone,
    "hashed_email": MatchKeys.add_hashed_email,
    "hashed_phone_number": MatchKeys.add_hashed_phone_number,
    "twclid": MatchKeys.add_twclid,
    "ip_address": MatchKeys.add_ip_address,
    "user_agent": MatchKeys.add_user_agent,
}


def _read_lone_address(text: str) -> str | Drop:
    return Drop.INVALID_IP_ADDRESS if "," in text else read_ip_address(text)


# In X's order: what a value that stands alone becomes, and how it is read; the click id of a page's address comes last
# of those that stand for one.
_LONE: Final[tuple[tuple[str, str, Callable[..., str | Drop]], ...]] = (
    ("twclid", "twclid", read_twclid),
    ("click_url", "twclid", read_twclid),
    ("email", "hashed_email", hash_email),
    ("hashed_email", "hashed_email", read_hashed_email),
    ("phone", "hashed_phone_number", hash_phone),
    ("hashed_phone_number", "hashed_phone_number", read_hashed_phone),
    ("ip_address", "ip_address", _read_lone_address),
    ("user_agent", "user_agent", read_user_agent),
)
# Google's tags write these digests in Base64 as well as in hex.
_GOOGLES: Final = frozenset({"sha256_email_address", "sha256_phone_number"})
_DIGEST_BYTES: Final = 32
_BASE64_LENGTHS: Final = frozenset({43, 44})
_JSON_BEGINS: Final = frozenset('[{"')

_MOST_CODES_LISTED: Final = 5
# What nobody could ever be matched by: it counts as nothing where most of a stream is anonymous.
_NOBODY: Final = frozenset({Drop.IPV6_ADDRESS, Drop.PRIVATE_IP_ADDRESS})


class EventPlan(Record, frozen=True):
    """The names of an event by kind, and those that make up its one identifier.

    `lone` has the kind, X's field, how a value is read, and the place and name where it stands; it is None where
    several names say the same of a person.
    """

    names: Names
    lone: tuple[tuple[str, str, Callable[..., str | Drop], int, str], ...] | None


def plan_event(names: Names, first_of: Collection[str] = (), never_lone: Collection[str] = ()) -> EventPlan:
    """Return the plan of an event with these names; of the kinds in `first_of` the first usable value counts.

    An event with one of the kinds in `never_lone` says more of a person than one identifier.
    """
    if any(kind in names for kind in never_lone):
        return EventPlan(names=names, lone=None)
    lone: dict[str, tuple[str, str, Callable[..., str | Drop], int, str]] = {}
    for kind, field, read in _LONE:
        entries = names.get(kind)
        if entries is None or (kind == "click_url" and field in lone):
            continue
        if field in lone or (len(entries) > 1 and kind not in first_of and kind != "click_url"):
            return EventPlan(names=names, lone=None)
        lone[field] = (kind, field, read, *entries[0])
    return EventPlan(names=names, lone=tuple(lone.values()))


def lone_identifier(places: Places, plan: EventPlan, phone_region: str | None) -> dict[str, str] | None:
    """Return the one identifier of an event that says each thing once, as text, and all of it usable.

    Nearly every event is so, and then there is nothing to merge. None where it takes a closer look.
    """
    if plan.lone is None:
        return None
    identifier: dict[str, str] = {}
    for kind, field, read, place, name in plan.lone:
        if kind == "click_url":
            value: object = next(_click_ids(places, plan.names), None)
            if value is None:
                continue
        else:
            value = places[place][name]
        if not isinstance(value, str):
            return None
        found = read(value, phone_region) if kind == "phone" else read(value)
        if not isinstance(found, str):
            return None
        identifier[field] = found
    return identifier if stands_alone(identifier) else None


def add_kinds(match_keys: MatchKeys, places: Places, names: Names, kinds: Collection[str], prefix: str = "") -> None:
    """Add every value of these kinds that the places have; the plan has them under `prefix` and the kind."""
    for kind in kinds:
        for place, name in names.get(prefix + kind, ()):
            value = places[place][name]
            if value is not None:
                ADDERS[kind](match_keys, _values(value, name))


def add_first(match_keys: MatchKeys, places: Places, names: Names, kind: str) -> None:
    """Add the first usable value of a kind of which there is one a person."""
    for place, name in names.get(kind, ()):
        value = places[place][name]
        if value is not None:
            ADDERS[kind](match_keys, _values(value, name))
            if getattr(match_keys, kind):
                return


def add_click_id(match_keys: MatchKeys, places: Places, names: Names) -> None:
    """Add the click id that a page's address or query brings, from the first that has one."""
    for click_id in _click_ids(places, names):
        match_keys.add_twclid(click_id)
        if match_keys.twclid:
            return


def _click_ids(places: Places, names: Names) -> Iterator[str]:
    for place, name in names.get("click_url", ()):
        value = places[place][name]
        click_id = click_id_of_query(value) if name == "search" else click_id_of_url(value)
        if click_id:
            yield click_id


def identifiers_of(match_keys: MatchKeys) -> list[dict[str, str]] | Invalid | Skipped:
    """Return X's identifier objects, or the end of an event of another source that has none.

    Without anything to match by it is skipped: most of such a stream is anonymous. Where something is there and is
    unusable, its author should hear of it.
    """
    identifiers = [identifier for identifier in match_keys.objects() if stands_alone(identifier)]
    if identifiers:
        match_keys.dropped += match_keys.empty
        return identifiers
    if _NOBODY.issuperset(match_keys.dropped):
        return Skipped(SkipReason.NO_IDENTIFIER)
    return Invalid(no_identifier(match_keys.dropped))


def no_identifier(dropped: Collection[Drop]) -> Problem:
    """Return the problem of an event without a usable identifier."""
    codes = ", ".join(list(dict.fromkeys(drop.value for drop in dropped))[:_MOST_CODES_LISTED])
    return Problem(
        path="identifiers",
        found=f"no usable identifier ({codes})" if codes else "no identifier",
        expected="an e-mail, a phone number or a twclid, or an ip_address together with a user_agent",
    )


def _values(value: object, name: str) -> object:
    if value.__class__ is dict or (isinstance(value, str) and value[:1] in _JSON_BEGINS):
        value = as_list(value)
    return _as_hex(value) if name in _GOOGLES else value


def _as_hex(value: object) -> object:
    """Return digests in hex; Base64 comes in the URL-safe alphabet or the plain one, with and without its padding."""
    if isinstance(value, list):
        return [_as_hex(item) for item in value]
    if not isinstance(value, str) or len(text := value.strip()) not in _BASE64_LENGTHS:
        return value
    try:
        digest = urlsafe_b64decode(text.replace("+", "-").replace("/", "_").rstrip("=") + "=")
    except (binascii.Error, ValueError):
        return value
    return digest.hex() if len(digest) == _DIGEST_BYTES else value
