"""An event on its way to a conversion: its time, dedup key, money, goods and texts, the same in every dialect."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.events.contents import ContentLine, read_content_ids, read_contents, sum_of_counts
from xcapi_core.events.dedup import derived_conversion_id, find_own_id
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_no_amount, kind_of, read_text
from xcapi_core.events.money import read_amount, read_count, read_currency, read_micros, wire_amount
from xcapi_core.events.names import Names, Places
from xcapi_core.events.pages import page_url, source_url
from xcapi_core.events.source import EventSource
from xcapi_core.events.times import expired, read_time, settled_time, wire_time
from xcapi_core.outcomes import Expired, Invalid
from xcapi_core.problems import Problem
from xcapi_core.records import Record
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["Draft"]

_TEXTS: Final = frozenset({"description", "url", "page", "page_of_call", "search"})

_encode: Final = msgspec.json.Encoder().encode


class Draft(Record, frozen=True, gc=False):
    """One event of a dialect, read value by value.

    `at` has for each place the path to it, for problems, and `names` the names that are there. What is left out
    is noted in `dropped`.
    """

    places: Places
    at: Sequence[str]
    names: Names
    source: EventSource
    settings: Settings
    dropped: list[Drop] = msgspec.field(default_factory=list)

    def first(self, kind: str, is_nothing: Callable[[object], bool] | None = None) -> tuple[int, str, object] | None:
        """Return the first value of a kind that says something, with its place and name; None where none does.

        Null, blank text and an empty list, which is what PHP makes of an empty object, say nothing; `is_nothing` judges
        other values.
        """
        places = self.places
        for place, name in self.names.get(kind, ()):
            value = places[place][name]
            if isinstance(value, str):
                if not value or value.isspace():
                    continue
            elif value is None or (isinstance(value, list) and not value):
                continue
            if is_nothing is not None and is_nothing(value):
                continue
            return place, name, value
        return None

    def conversion(
        self, pixel: PixelSettings, tag: str | Problem, identifiers: list[dict[str, str]] | Invalid
    ) -> Conversion | Invalid | Expired:
        """Return the whole, its wire form in the order of X's fields, or all that is wrong with it."""
        names, dropped = self.names, self.dropped
        time = self._time() if "time" in names else self.source.publish_time
        max_age_hours = self.settings.max_event_age_hours
        if max_age_hours is not None and isinstance(time, datetime) and isinstance(tag, str):
            too_old = expired(time, self.source, max_age_hours)
            if too_old is not None:
                return msgspec.structs.replace(too_old, conversion_id=self._given_id())
        code = self._currency() if "currency" in names else None
        amount = self.amount()
        # Asked by what each should be: to tell that a value is no Problem takes several times as long.
        if not (
            isinstance(tag, str)
            and isinstance(time, datetime)
            and isinstance(identifiers, list)
            and (code is None or isinstance(code, str))
            and (amount is None or isinstance(amount, Decimal))
        ):
            of_identifiers = identifiers.problem if isinstance(identifiers, Invalid) else None
            first, *others = [part for part in (tag, time, of_identifiers, code, amount) if isinstance(part, Problem)]
            return Invalid(first, tuple(others), self._given_id())
        own_id = find_own_id(self.places, names["key"], dropped) if "key" in names else None
        conversion_id = own_id or read_text(self.source.conversion_id) or derived_conversion_id(self.source)
        of_lines: list[Drop] = []
        currencies: set[str] = set()
        contents = self.contents(of_lines, currencies)
        wire: dict[str, object] = {
            "conversion_time": wire_time(time),
            "event_id": tag,
            "identifiers": identifiers,
            "conversion_id": conversion_id,
        }
        if amount is not None and code is None:
            code = self._currency_of_amount(currencies)
            amount = amount if code else None
        if amount is not None:
            wire["value"] = wire_amount(amount)
        if code is not None:
            wire["price_currency"] = code
        dropped.extend(of_lines)
        count = self.count(contents)
        if count is not None:
            wire["number_items"] = count
        if contents:
            wire["contents"] = contents
        if not _TEXTS.isdisjoint(names):
            self._add_texts(wire)
        lone = len(identifiers) == 1
        return Conversion(
            pixel_id=pixel.pixel_id,
            event_tag=tag,
            conversion_id=conversion_id,
            wire=_encode(wire),
            dropped=tuple([drop.value for drop in dropped]) if dropped else (),
            identifiers=tuple(identifiers[0] if lone else dict.fromkeys(kind for one in identifiers for kind in one)),
            has_derived_id=own_id is None,
        )

    def amount(self) -> Decimal | Problem | None:
        """Return the conversion's value, None for none."""
        if "amount" not in self.names:
            return None
        place, name = self.names["amount"][0]
        amount = _amount_of(name, self.places[place][name])
        if amount is not None:
            return amount
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
        if "contents" in self.names:
            place, name = self.names["contents"][0]
            lines = self.places[place][name]
            if isinstance(lines, list) and lines:
                return read_contents(lines, dropped, currencies)
            if (found := self.first("contents")) is not None:
                return read_contents(found[2], dropped, currencies)
        if "content_ids" in self.names and (found := self.first("content_ids")) is not None:
            kind = self.first("content_type")
            return read_content_ids(found[2], kind and kind[2], dropped)
        return []

    def count(self, contents: list[ContentLine]) -> int | None:
        """Return how many items there are: what the event says, else the sum of its lines."""
        if "count" in self.names and (found := self.first("count")) is not None:
            count = read_count(found[2])
            if count is not None:
                return count
            self.dropped.append(Drop.INVALID_NUMBER_ITEMS)
        return sum_of_counts(contents) if contents else None

    def page(self) -> object:
        """Return the address of the source's own kind, of which only scheme, host and path are sent; None for none."""
        found = self.first("page")
        return found and found[2]

    def _time(self) -> datetime | Problem:
        place, name = self.names["time"][0]
        publish_time = self.source.publish_time
        time = read_time(self.places[place][name], publish_time)
        if time is not None and time <= publish_time:
            return time
        found = self.first("time")
        if found is None:
            return publish_time
        place, name, given = found
        return settled_time(given, f"{self.at[place]}{name}", self.source, self.dropped)

    def _given_id(self) -> str:
        """Return the dedup key by which somebody would look for an event that is not sent; "" where none is given."""
        own_id = find_own_id(self.places, self.names["key"], self.dropped) if "key" in self.names else None
        return own_id or read_text(self.source.conversion_id) or ""

    def _currency(self) -> str | Problem | None:
        """Return the currency that the event names, None for none."""
        place, name = self.names["currency"][0]
        code = read_currency(self.places[place][name])
        if code is not None:
            return code
        found = self.first("currency")
        if found is not None and is_no_amount(found[2]):
            self.dropped.append(Drop.INVALID_CURRENCY)
            found = self.first("currency", is_no_amount)
        if found is None or (code := read_currency(found[2])) is not None:
            return code
        place, name, given = found
        return Problem(
            path=f"{self.at[place]}{name}",
            found=f"{kind_of(given)} that is no currency code",
            expected="three letters, ISO 4217",
        )

    def _currency_of_amount(self, currencies: set[str]) -> str | None:
        """Return the currency of an amount that comes without one: that of the lines, else the configured one."""
        if len(currencies) > 1:
            self.dropped.append(Drop.MIXED_CURRENCIES)
            return None
        code = next(iter(currencies), self.settings.default_currency)
        if code is None:  # X counts such a conversion and leaves its revenue blank, or takes it for dollars
            self.dropped.append(Drop.VALUE_WITHOUT_CURRENCY)
        return code

    def _add_texts(self, wire: dict[str, object]) -> None:
        """Add the texts about the event and the page as far as they are usable."""
        names = self.names
        if "description" in names:
            self._add_text(wire, "description", "description", Drop.INVALID_DESCRIPTION)
        found = self.first("url") if "url" in names else None
        address, read = (self.page(), page_url) if found is None else (found[2], source_url)
        if address is not None:
            text = read_text(address)
            if text is not None and (url := read(text)) is not None:
                wire["event_source_url"] = url
            else:
                self.dropped.append(Drop.INVALID_URL)
        if "search" in names:
            self._add_text(wire, "search", "search_string", Drop.INVALID_SEARCH_STRING)

    def _add_text(self, wire: dict[str, object], kind: str, field: str, code: Drop) -> None:
        if (found := self.first(kind)) is None:
            return
        if (text := read_text(found[2])) is not None:
            wire[field] = text
        else:
            self.dropped.append(code)


def _amount_of(name: str, given: object) -> Decimal | None:
    return read_micros(given) if name == "value_micros" else read_amount(given)
