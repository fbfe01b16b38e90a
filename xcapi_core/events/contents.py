"""What was bought: X's `contents`, from its own names and from those that shops and tag managers use."""

from collections.abc import Callable, Mapping
from typing import Final

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_object, read_id, read_text
from xcapi_core.events.money import read_amount, read_count, read_currency, wire_amount
from xcapi_core.events.names import Names, Table, says_nothing, spread
from xcapi_core.events.shapes import as_list, as_object

__all__ = [
    "LARGEST_SUM",
    "LINE_NAMES",
    "PRICE_NAMES",
    "ContentLine",
    "read_content_ids",
    "read_contents",
    "sum_of_counts",
]

ContentLine = dict[str, str | int]

_FREE_TEXTS: Final = ("content_name", "content_type")
PRICE_NAMES: Final = ("content_price", "item_price", "price")
LARGEST_SUM = 2**31 - 1


def read_contents(lines: object, dropped: list[Drop], currencies: set[str]) -> list[ContentLine]:
    """Return the usable lines; what is unusable is dropped, since no line is worth losing the sale.

    The currencies that the lines name are added to `currencies`.
    """
    if not isinstance(lines, list):
        lines = as_list(lines)
        if is_object(lines):
            lines = [lines]
    if not isinstance(lines, list):
        dropped.append(Drop.INVALID_CONTENTS)
        return []
    contents: list[ContentLine] = []
    for raw in lines:
        line = _read_line(raw, dropped, currencies)
        if line:
            contents.append(line)
    return contents


def read_content_ids(content_ids: object, content_type: object, dropped: list[Drop]) -> list[ContentLine]:
    """Return a line for each id of a list, all of one type: the shape that other ad platforms' pixels send."""
    lines: list[ContentLine] = []
    kind = read_text(content_type)
    content_ids = as_list(content_ids)
    for raw in content_ids if isinstance(content_ids, list) else [content_ids]:
        content_id = read_id(raw)
        if content_id is None:
            dropped.append(Drop.INVALID_CONTENT)
            continue
        line: ContentLine = {"content_id": content_id}
        if kind is not None:
            line["content_type"] = kind
        lines.append(line)
    return lines


def sum_of_counts(contents: list[ContentLine]) -> int | None:
    """Return the sum of the lines' counts, None where no line has one."""
    total = 0
    for line in contents:
        if "num_items" in line:
            total += int(line["num_items"])
    return total if 0 < total <= LARGEST_SUM else None


def _read_line(raw: object, dropped: list[Drop], currencies: set[str]) -> ContentLine | None:
    if not isinstance(raw, dict):
        raw = as_object(raw)
    if not isinstance(raw, dict):
        dropped.append(Drop.INVALID_CONTENT)
        return None
    line: ContentLine = {}
    for kind, read, first, names in _LINES.plan_of_one(raw):
        found = read(raw[first])
        if found is None:
            name = next((name for name in names if not says_nothing(raw[name])), None)
            if name is None:
                continue
            found = read(raw[name])
            if found is None:
                # A template's leftover in a name is no mistake of the line's; in an id it is.
                if kind not in _FREE_TEXTS or not isinstance(raw[name], str):
                    dropped.append(_UNREADABLE_LINE[kind])
                continue
        line[kind] = found
    if "currency" in line:
        currencies.add(str(line.pop("currency")))
    if not line:
        dropped.append(Drop.INVALID_CONTENT)
    return line


def _read_price(value: object) -> str | None:
    price = read_amount(value)
    return None if price is None else wire_amount(price)


_Step = tuple[str, Callable[[object], str | int | None], str, tuple[str, ...]]
# How the values of each kind are read, and what it is called where something is there that cannot be read.
_LINE_READERS: Final[Mapping[str, Callable[[object], str | int | None]]] = {
    "content_id": read_id,
    "content_group_id": read_id,
    **dict.fromkeys(_FREE_TEXTS, read_text),
    "content_price": _read_price,
    "num_items": read_count,
    "currency": read_currency,
}
_UNREADABLE_LINE: Final[Mapping[str, Drop]] = {
    "content_id": Drop.INVALID_CONTENT_ID,
    **dict.fromkeys((*_FREE_TEXTS, "content_group_id", "currency"), Drop.INVALID_CONTENT_FIELD),
    "content_price": Drop.INVALID_CONTENT_PRICE,
    "num_items": Drop.INVALID_CONTENT_COUNT,
}


def _plan_line(names: Names) -> tuple[_Step, ...]:
    """Return for each kind of value how it is read, and the names that may hold it, of which the first mostly does."""
    named = {kind: tuple([name for _, name in entries]) for kind, entries in names.items()}
    return tuple([(kind, _LINE_READERS[kind], names[0], names) for kind, names in named.items()])


# By X's fields, in their order: X's name first, then GA4's, then what shops say, then that of RudderStack's own
# destination. A currency is the whole sale's.
_LINES: Final = Table(
    spread(
        (0,),
        {
            "content_id": ("content_id", "item_id", "product_id", "sku", "id"),
            "content_name": ("content_name", "item_name", "name"),
            "content_type": ("content_type", "item_category", "category", "type"),
            "content_group_id": ("content_group_id", "item_group_id", "groupId"),
            "content_price": PRICE_NAMES,
            "num_items": ("num_items", "quantity"),
            "currency": ("price_currency", "currency", "conversion_currency"),
        },
    ),
    _plan_line,
)
# All that is read of a line.
LINE_NAMES: Final = _LINES.known(0)
