"""What X can match one conversion by: gathered from wherever an event has it, merged as X wants it."""

from collections.abc import Callable

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import cut_invisible, is_absent, read_text
from xcapi_core.events.identifiers import hash_email, hash_phone, read_digest, read_twclid
from xcapi_core.events.ip_addresses import read_ip_address

__all__ = ["MatchKeys", "read_hashed_email", "read_hashed_phone", "read_user_agent", "stands_alone"]

# A person has a few addresses. What a list holds beyond this is another kind of list.
_MOST_PER_KIND = 10


def stands_alone(identifier: dict[str, str]) -> bool:
    """Tell whether X accepts this element of `identifiers` by itself; X judges each element so."""
    return (
        "twclid" in identifier
        or "hashed_email" in identifier
        or "hashed_phone_number" in identifier
        or ("ip_address" in identifier and "user_agent" in identifier)
    )


class MatchKeys:
    """The match keys of one person, filled field by field and read out once with `objects`.

    Every `add_…` takes a raw JSON value, or a list of them, and notes in `dropped` what it had to leave out. It
    holds personal data and therefore has no `repr` of its own.
    """

    __slots__ = (
        "_phone_region",
        "digests_of_emails",
        "digests_of_phones",
        "dropped",
        "emails",
        "empty",
        "ip_address",
        "phones",
        "twclid",
        "user_agent",
    )

    def __init__(self, phone_region: str | None, dropped: list[Drop]) -> None:
        self.dropped = dropped
        # Fields that are there and hold nothing: they say as little of a person as a field that is missing.
        self.empty: list[Drop] = []
        self._phone_region = phone_region
        self.emails: list[str] = []
        self.phones: list[str] = []
        # Apart from the plain ones: a plain value beats a digest that the publisher made.
        self.digests_of_emails: list[str] = []
        self.digests_of_phones: list[str] = []
        self.twclid = self.ip_address = self.user_agent = ""

    def add_email(self, value: object) -> None:
        """Add plain e-mail addresses."""
        self._add(self.emails, value, hash_email, Drop.INVALID_EMAIL)

    def add_hashed_email(self, value: object) -> None:
        """Add SHA-256 hex digests of e-mail addresses."""
        self._add(self.digests_of_emails, value, read_hashed_email, Drop.INVALID_HASHED_EMAIL)

    def add_phone(self, value: object) -> None:
        """Add plain phone numbers, E.164 or national."""
        self._add(self.phones, value, self._hash_phone, Drop.INVALID_PHONE)

    def add_hashed_phone_number(self, value: object) -> None:
        """Add SHA-256 hex digests of E.164 numbers."""
        self._add(self.digests_of_phones, value, read_hashed_phone, Drop.INVALID_HASHED_PHONE_NUMBER)

    def add_twclid(self, value: object) -> None:
        """Add a click id, or the `_twclid` cookie."""
        for item in self._items(value, Drop.INVALID_TWCLID):
            twclid = read_twclid(item)
            if isinstance(twclid, Drop):
                self.dropped.append(twclid)
            else:
                self.twclid = self._only(self.twclid, twclid, Drop.EXTRA_TWCLID)

    def add_ip_address(self, value: object) -> None:
        """Add a public IPv4 address."""
        for item in self._items(value, Drop.INVALID_IP_ADDRESS):
            address = read_ip_address(item.strip() if isinstance(item, str) else "", self.dropped)
            if isinstance(address, Drop):
                self.dropped.append(address)
            else:
                self.ip_address = self._only(self.ip_address, address, Drop.EXTRA_IP_ADDRESS)

    def add_user_agent(self, value: object) -> None:
        """Add a user agent, as the browser sent it."""
        for item in self._items(value, Drop.INVALID_USER_AGENT):
            user_agent = read_user_agent(item)
            if isinstance(user_agent, Drop):
                self.dropped.append(user_agent)
            else:
                self.user_agent = self._only(self.user_agent, user_agent, Drop.EXTRA_USER_AGENT)

    def absorb(self, other: "MatchKeys") -> None:
        """Take over what `other` holds; what is here already comes first."""
        self.emails += other.emails
        self.phones += other.phones
        self.digests_of_emails += other.digests_of_emails
        self.digests_of_phones += other.digests_of_phones
        self.twclid = self._only(self.twclid, other.twclid, Drop.EXTRA_TWCLID)
        self.ip_address = self._only(self.ip_address, other.ip_address, Drop.EXTRA_IP_ADDRESS)
        self.user_agent = self._only(self.user_agent, other.user_agent, Drop.EXTRA_USER_AGENT)

    def objects(self) -> list[dict[str, str]]:
        """Return X's identifier objects: one merged, then one for each further e-mail and phone.

        The first may be empty, or short of what X asks of an element: `stands_alone` tells.
        """
        emails = list(dict.fromkeys(self.emails or self.digests_of_emails))
        phones = list(dict.fromkeys(self.phones or self.digests_of_phones))
        merged: dict[str, str] = {}
        if self.twclid:
            merged["twclid"] = self.twclid
        if emails:
            merged["hashed_email"] = emails[0]
        if phones:
            merged["hashed_phone_number"] = phones[0]
        if self.ip_address:
            merged["ip_address"] = self.ip_address
        if self.user_agent:
            merged["user_agent"] = self.user_agent
        return [
            merged,
            *({"hashed_email": email} for email in emails[1:]),
            *({"hashed_phone_number": phone} for phone in phones[1:]),
        ]

    def _hash_phone(self, value: object) -> str | Drop:
        return hash_phone(value, self._phone_region)

    def _add(self, digests: list[str], value: object, read: Callable[[object], str | Drop], empty: Drop) -> None:
        for item in self._items(value, empty):
            digest = read(item)
            if isinstance(digest, Drop):
                self.dropped.append(digest)
            else:
                digests.append(digest)

    def _items(self, value: object, empty: Drop) -> list[object]:
        """Return the values of a list, or a lone value as a list; without those that say nothing.

        A list of nothing is noted as `empty`.
        """
        if not isinstance(value, list):
            return [] if is_absent(value) else [value]
        items = [item for item in value if not is_absent(item)]
        if not items:
            self.empty.append(empty)
        if len(items) > _MOST_PER_KIND:
            self.dropped.append(Drop.TOO_MANY_IDENTIFIERS)
        return items[:_MOST_PER_KIND]

    def _only(self, known: str, further: str, extra: Drop) -> str:
        if known and further and known != further:
            self.dropped.append(extra)
        return known or further


def read_hashed_email(value: object) -> str | Drop:
    """Return the digest of an e-mail address, lower-cased."""
    return read_digest(value, Drop.INVALID_HASHED_EMAIL)


def read_hashed_phone(value: object) -> str | Drop:
    """Return the digest of a phone number, lower-cased."""
    return read_digest(value, Drop.INVALID_HASHED_PHONE_NUMBER)


def read_user_agent(value: object) -> str | Drop:
    """Return a user agent as the browser sent it."""
    return (read_text(cut_invisible(value)) if isinstance(value, str) else None) or Drop.INVALID_USER_AGENT
