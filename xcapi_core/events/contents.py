"""What was bought: X's `contents`, from its own names and from those that shops and tag managers use."""

from typing import Final

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_object, read_id, read_text
from xcapi_core.events.money import read_amount, read_count, read_currency, wire_amount
from xcapi_core.events.names import Plan, Table, first_value, spread
from xcapi_core.events.shapes import as_list, as_object

__all__ = ["LARGEST_SUM", "PRICE_NAMES", "ContentLine", "read_content_ids", "read_contents", "sum_of_counts"]

ContentLine = dict[str, str | int]

_TEXTS: Final = ("content_id", "content_name", "content_type", "content_group_id")
PRICE_NAMES: Final = ("content_price", "item_price", "price")
# X's name first, then GA4's, then what shops say, then that of RudderStack's own destination.
_LINES: Final = Table(
    spread(
        (0,),
        {
            "content_id": ("content_id", "item_id", "product_id", "sku", "id"),
            "content_name": ("content_name", "item_name", "name"),
            "content_type": ("content_type", "item_category", "category", "type"),
            "content_group_id": ("content_group_id", "item_group_id", "groupId"),
            "price": PRICE_NAMES,
            "count": ("num_items", "quantity"),
            "currency": ("price_currency", "currency", "conversion_currency"),
        },
    )
)
LARGEST_SUM = 2**31 - 1


def read_contents(lines: object, dropped: list[Drop], currencies: set[str]) -> list[ContentLine]:
    """Return the usable lines; what is unusable is dropped, since no line is worth losing the sale.

    The currencies that the lines name are added to `currencies`.
    """
    lines = as_list(lines)
    if is_object(lines):
        lines = [lines]
    if not isinstance(lines, list):
        dropped.append(Drop.INVALID_CONTENTS)
        return []
    return [line for raw in lines if (line := _read_line(raw, dropped, currencies))]


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
        count = line.get("num_items")
        if isinstance(count, int):
            total += count
    return total if 0 < total <= LARGEST_SUM else None


def _read_line(raw: object, dropped: list[Drop], currencies: set[str]) -> ContentLine | None:
    raw = as_object(raw)
    if not is_object(raw):
        dropped.append(Drop.INVALID_CONTENT)
        return None
    line: ContentLine = {}
    places = (raw,)
    plan = _LINES.plan(places)
    for kind in _TEXTS:
        if kind in plan and (found := first_value(places, plan[kind])) is not None:
            _, _, value = found
            text = read_id(value) if kind == "content_id" else read_text(value)
            if text is not None:
                line[kind] = text
            elif kind == "content_id":
                dropped.append(Drop.INVALID_CONTENT_ID)
            elif not isinstance(value, str):
                dropped.append(Drop.INVALID_CONTENT_FIELD)
    _add_price(line, places, plan, dropped)
    if "count" in plan and (found := first_value(places, plan["count"])) is not None:
        count = read_count(found[2])
        if count is None:
            dropped.append(Drop.INVALID_CONTENT_COUNT)
        else:
            line["num_items"] = count
    if "currency" in plan and (found := first_value(places, plan["currency"])) is not None:
        currency = read_currency(found[2])
        if currency is None:
            dropped.append(Drop.INVALID_CONTENT_FIELD)
        else:
            currencies.add(currency)
    if not line:
        dropped.append(Drop.INVALID_CONTENT)
    return line


def _add_price(line: ContentLine, places: tuple[dict[str, object]], plan: Plan, dropped: list[Drop]) -> None:
    found = first_value(places, plan["price"]) if "price" in plan else None
    if found is None:
        return
    price = read_amount(found[2])
    if price is None:
        dropped.append(Drop.INVALID_CONTENT_PRICE)
    else:
        line["content_price"] = wire_amount(price)
