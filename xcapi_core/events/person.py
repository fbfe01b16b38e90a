"""Who converted, gathered from the places of an event."""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from xcapi_core.events.drops import Drop
from xcapi_core.events.identifiers import hash_email, hash_phone, read_twclid
from xcapi_core.events.identity import (
    Identity,
    read_hashed_email,
    read_hashed_phone,
    read_user_agent,
    stands_alone,
)
from xcapi_core.events.ip_addresses import read_ip_address
from xcapi_core.events.names import Places, Plan
from xcapi_core.events.pages import click_id_of_query, click_id_of_url
from xcapi_core.events.shapes import as_list
from xcapi_core.outcomes import Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem

__all__ = ["ADDERS", "add_click_id", "add_first", "add_kinds", "identifiers_of", "lone_identifier", "no_identifier"]

ADDERS: Final[Mapping[str, Callable[[Identity, object], None]]] = {
    "email": Identity.add_email,
    "phone": Identity.add_phone,
    "hashed_email": Identity.add_hashed_email,
    "hashed_phone_number": Identity.add_hashed_phone_number,
    "twclid": Identity.add_twclid,
    "ip_address": Identity.add_ip_address,
    "user_agent": Identity.add_user_agent,
}
# In X's order: what a value that stands alone becomes, and how it is read.
_LONE: Final[tuple[tuple[str, str, Callable[[str, str | None], str | Drop]], ...]] = (
    ("twclid", "twclid", lambda text, _: read_twclid(text)),
    ("email", "hashed_email", lambda text, _: hash_email(text)),
    ("hashed_email", "hashed_email", lambda text, _: read_hashed_email(text)),
    ("phone", "hashed_phone_number", hash_phone),
    ("hashed_phone_number", "hashed_phone_number", lambda text, _: read_hashed_phone(text)),
    ("ip_address", "ip_address", lambda text, _: read_ip_address(text)),
    ("user_agent", "user_agent", lambda text, _: read_user_agent(text)),
)
# Google's tags write these digests in Base64 as well as in hex.
_GOOGLES: Final = frozenset({"sha256_email_address", "sha256_phone_number"})
_DIGEST_BYTES: Final = 32
_BASE64_LENGTHS: Final = frozenset({43, 44})

_MOST_CODES_LISTED: Final = 5
# What nobody could ever be matched by: it counts as nothing where most of a stream is anonymous.
_NOBODY: Final = frozenset({Drop.IPV6_ADDRESS, Drop.PRIVATE_IP_ADDRESS})


def lone_identifier(
    places: Places, plan: Plan, phone_region: str | None, first_of: Collection[str] = ()
) -> dict[str, str] | None:
    """Return the one identifier of an event that says each thing once, as text, and all of it usable.

    Nearly every event is so, and then there is nothing to merge. Of the kinds in `first_of` the first usable value
    counts, so more may follow. None where it takes a closer look.
    """
    identifier: dict[str, str] = {}
    for kind, field, read in _LONE:
        entries = plan.get(kind)
        if entries is not None:
            place, name = entries[0]
            value = places[place][name]
            if len(entries) > 1 and kind not in first_of:
                return None
        elif kind == "twclid" and "click_url" in plan:
            value = next(_click_ids(places, plan), None)
            if value is None:
                continue
        else:
            continue
        found = read(value, phone_region) if isinstance(value, str) and field not in identifier else None
        if not isinstance(found, str):
            return None
        identifier[field] = found
    return identifier if stands_alone(identifier) else None


def add_kinds(identity: Identity, places: Places, plan: Plan, kinds: Collection[str], prefix: str = "") -> None:
    """Add every value of these kinds that the places have; the plan has them under `prefix` and the kind."""
    for kind in kinds:
        for place, name in plan.get(prefix + kind, ()):
            value = places[place][name]
            if value is not None:
                ADDERS[kind](identity, _values(value, name))


def add_first(identity: Identity, places: Places, plan: Plan, kind: str) -> None:
    """Add the first usable value of a kind of which there is one a person."""
    for place, name in plan.get(kind, ()):
        value = places[place][name]
        if value is not None:
            ADDERS[kind](identity, _values(value, name))
            if getattr(identity, kind):
                return


def add_click_id(identity: Identity, places: Places, plan: Plan) -> None:
    """Add the click id that a page's address or query brings, from the first that has one."""
    for click_id in _click_ids(places, plan):
        identity.add_twclid(click_id)
        if identity.twclid:
            return


def _click_ids(places: Places, plan: Plan) -> Iterator[str]:
    for place, name in plan.get("click_url", ()):
        value = places[place][name]
        click_id = click_id_of_query(value) if name == "search" else click_id_of_url(value)
        if click_id:
            yield click_id


def identifiers_of(identity: Identity) -> list[dict[str, str]] | Invalid | Skipped:
    """Return X's identifier objects, or the end of an event of another source that has none.

    Without anything to match by it is skipped: most of such a stream is anonymous. Where something is there and is
    unusable, its author should hear of it.
    """
    identifiers = [identifier for identifier in identity.objects() if stands_alone(identifier)]
    if identifiers:
        return identifiers
    if _NOBODY.issuperset(identity.dropped):
        return Skipped(SkipReason.NO_IDENTIFIER)
    return Invalid(no_identifier(identity.dropped))


def no_identifier(dropped: Collection[Drop]) -> Problem:
    """Return the problem of an event without a usable identifier."""
    codes = ", ".join(list(dict.fromkeys(drop.value for drop in dropped))[:_MOST_CODES_LISTED])
    return Problem(
        path="identifiers",
        found=f"no usable identifier ({codes})" if codes else "no identifier",
        expected="an e-mail, a phone number or a twclid, or an ip_address together with a user_agent",
    )


def _values(value: object, name: str) -> object:
    if value.__class__ is dict or (isinstance(value, str) and value[:1] == "["):
        value = as_list(value)
    return _as_hex(value) if name in _GOOGLES else value


def _as_hex(value: object) -> object:
    """Return digests in hex; Base64 comes with URL-safe letters or plain ones, with and without its padding."""
    if isinstance(value, list):
        return [_as_hex(item) for item in value]
    if not isinstance(value, str) or len(text := value.strip()) not in _BASE64_LENGTHS:
        return value
    try:
        digest = urlsafe_b64decode(text.replace("+", "-").replace("/", "_").rstrip("=") + "=")
    except (binascii.Error, ValueError):
        return value
    return digest.hex() if len(digest) == _DIGEST_BYTES else value
