"""An event on its way to a conversion: its time, dedup key, money, goods and texts, the same in every dialect."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.ages import expired, settled_time
from xcapi_core.events.contents import ContentLine, read_content_ids, read_contents, sum_of_counts
from xcapi_core.events.dedup import derived_conversion_id
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_absent, is_no_amount, kind_of, read_id, read_text
from xcapi_core.events.money import read_amount, read_count, read_currency, read_micros, wire_amount
from xcapi_core.events.names import Places, Table, first_value
from xcapi_core.events.pages import page_url, source_url
from xcapi_core.events.source import EventSource
from xcapi_core.events.times import wire_time
from xcapi_core.outcomes import Expired, Invalid
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["Draft"]

_encode: Final = msgspec.json.Encoder().encode


class Draft:
    """One event of a dialect, read value by value.

    `at` has for each place the path to it, for problems. What is left out is noted in `dropped`. It holds personal data
    and therefore has no `repr` of its own.
    """

    __slots__ = ("at", "dropped", "places", "plan", "settings", "source")

    def __init__(
        self, table: Table, places: Places, at: Sequence[str], source: EventSource, settings: Settings
    ) -> None:
        self.places = places
        self.at = at
        self.plan = table.plan(places)
        self.source = source
        self.settings = settings
        self.dropped: list[Drop] = []

    def first(self, kind: str, is_nothing: Callable[[str], bool] = is_absent) -> tuple[int, str, object] | None:
        """Return the first value of a kind that says something, with its place and name; None where none does."""
        entries = self.plan.get(kind)
        return None if entries is None else first_value(self.places, entries, is_nothing)

    def conversion(
        self, pixel: PixelSettings, tag: str | Problem, identifiers: list[dict[str, str]] | Invalid
    ) -> Conversion | Invalid | Expired:
        """Return the whole, its wire form in the order of X's fields, or all that is wrong with it."""
        time = self._time()
        max_age_hours = self.settings.max_event_age_hours
        if max_age_hours is not None and isinstance(time, datetime) and isinstance(tag, str):
            too_old = expired(time, self.source, max_age_hours)
            if too_old is not None:
                return too_old
        of_lines: list[Drop] = []
        currencies: set[str] = set()
        code = self._currency()
        amount = self.amount()
        if (
            isinstance(tag, Problem)
            or isinstance(time, Problem)
            or isinstance(identifiers, Invalid)
            or isinstance(code, Problem)
            or isinstance(amount, Problem)
        ):
            of_identifiers = identifiers.problem if isinstance(identifiers, Invalid) else None
            first, *others = [part for part in (tag, time, of_identifiers, code, amount) if isinstance(part, Problem)]
            return Invalid(first, tuple(others))
        conversion_id = self._conversion_id()
        contents = self.contents(of_lines, currencies)
        wire: dict[str, object] = {
            "conversion_time": wire_time(time),
            "event_id": tag,
            "identifiers": identifiers,
            "conversion_id": conversion_id or self._derived_id(),
        }
        self._add_money(wire, amount, code, currencies)
        self.dropped += of_lines
        count = self.count(contents)
        if count is not None:
            wire["number_items"] = count
        if contents:
            wire["contents"] = contents
        self._add_texts(wire)
        lone = len(identifiers) == 1
        return Conversion(
            pixel_id=pixel.pixel_id,
            event_tag=tag,
            conversion_id=conversion_id or self._derived_id(),
            wire=_encode(wire),
            dropped=tuple([drop.value for drop in self.dropped]) if self.dropped else (),
            identifiers=tuple(identifiers[0] if lone else dict.fromkeys(kind for one in identifiers for kind in one)),
            has_derived_id=conversion_id is None,
        )

    def amount(self) -> Decimal | Problem | None:
        """Return the conversion's value, None for none."""
        found = self.first("amount")
        amount = None if found is None else _amount_of(found[1], found[2])
        if found is not None and amount is None and is_no_amount(found[2]):
            self.dropped.append(Drop.INVALID_VALUE)
            found = self.first("amount", is_no_amount)
            amount = None if found is None else _amount_of(found[1], found[2])
        return self.no_amount(*found) if amount is None and found is not None else amount

    def no_amount(self, place: int, name: str, given: object) -> Problem:
        """Return the problem with something that should be an amount."""
        return Problem(
            path=f"{self.at[place]}{name}",
            found=f"{kind_of(given)} that is no amount",
            expected="a number from 0 to below 10^15, or the same as text",
        )

    def contents(self, dropped: list[Drop], currencies: set[str]) -> list[ContentLine]:
        """Return the lines of goods."""
        found = self.first("contents")
        if found is not None:
            return read_contents(found[2], dropped, currencies)
        found = self.first("content_ids")
        if found is not None:
            kind = self.first("content_type")
            return read_content_ids(found[2], kind and kind[2], dropped)
        return []

    def count(self, contents: list[ContentLine]) -> int | None:
        """Return how many items there are: what the event says, else the sum of its lines."""
        count = None
        found = self.first("count")
        if found is not None:
            count = read_count(found[2])
            if count is None:
                self.dropped.append(Drop.INVALID_NUMBER_ITEMS)
        return sum_of_counts(contents) if count is None and contents else count

    def page(self) -> object:
        """Return the address of the source's own kind, of which only scheme, host and path are sent; None for none."""
        found = self.first("page")
        return found and found[2]

    def _time(self) -> datetime | Problem:
        found = self.first("time")
        if found is None:
            return self.source.publish_time
        place, name, given = found
        return settled_time(given, f"{self.at[place]}{name}", self.source, self.dropped)

    def _conversion_id(self) -> str | None:
        """Return the publisher's own dedup key, None where there is none."""
        for place, name in self.plan.get("key", ()):
            value = self.places[place][name]
            own = read_id(value)
            if own is not None and not (name == "event_id" and own.lower().startswith("tw-")):
                return own  # X's event tag is the same for every sale: X would drop all but the first
            if own is None and not is_absent(value):
                self.dropped.append(Drop.INVALID_CONVERSION_ID)
        return None

    def _derived_id(self) -> str:
        """Return the dedup key that a replay brings along, or the one that every redelivery derives alike."""
        return read_text(self.source.conversion_id) or derived_conversion_id(self.source)

    def _currency(self) -> str | Problem | None:
        """Return the currency that the event names, None for none."""
        found = self.first("currency")
        code = None if found is None else read_currency(found[2])
        if found is not None and code is None and is_no_amount(found[2]):
            self.dropped.append(Drop.INVALID_CURRENCY)
            found = self.first("currency", is_no_amount)
            code = None if found is None else read_currency(found[2])
        if found is None or code is not None:
            return code
        place, name, given = found
        return Problem(
            path=f"{self.at[place]}{name}",
            found=f"{kind_of(given)} that is no currency code",
            expected="three letters, ISO 4217",
        )

    def _add_money(
        self, wire: dict[str, object], amount: Decimal | None, code: str | None, currencies: set[str]
    ) -> None:
        """Add `value` and `price_currency` as far as they are there."""
        if amount is not None:
            if code is None and len(currencies) > 1:
                self.dropped.append(Drop.MIXED_CURRENCIES)
                return
            code = code or next(iter(currencies), self.settings.default_currency)
            if code is None:
                # X counts such a conversion and leaves its revenue blank, or takes it for dollars.
                self.dropped.append(Drop.VALUE_WITHOUT_CURRENCY)
                return
            wire["value"] = wire_amount(amount)
        if code is not None:
            wire["price_currency"] = code

    def _add_texts(self, wire: dict[str, object]) -> None:
        """Add the texts about the event and the page as far as they are usable."""
        plan = self.plan
        if "description" in plan:
            self._add_text(wire, "description", "description", Drop.INVALID_DESCRIPTION)
        if "url" in plan and (found := self.first("url")) is not None:
            text = read_text(found[2])
            url = None if text is None else source_url(text)
            if url is None:
                self.dropped.append(Drop.INVALID_URL)
            else:
                wire["event_source_url"] = url
        elif (address := self.page()) is not None:
            url = page_url(text) if (text := read_text(address)) else None
            if url is None:
                self.dropped.append(Drop.INVALID_URL)
            else:
                wire["event_source_url"] = url
        if "search" in plan:
            self._add_text(wire, "search", "search_string", Drop.INVALID_SEARCH_STRING)

    def _add_text(self, wire: dict[str, object], kind: str, field: str, code: Drop) -> None:
        found = self.first(kind)
        if found is None:
            return
        text = read_text(found[2])
        if text is not None:
            wire[field] = text
        elif not isinstance(found[2], str):
            self.dropped.append(code)


def _amount_of(name: str, given: object) -> Decimal | None:
    return read_micros(given) if name == "value_micros" else read_amount(given)
