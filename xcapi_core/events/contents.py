"""What was bought: X's `contents`, from its own names and from those that shops and tag managers use."""

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import first_present, is_object, read_text
from xcapi_core.events.money import read_amount, read_count, wire_amount
from xcapi_core.events.shapes import Shapes, present
from xcapi_core.records import Record

__all__ = ["LARGEST_SUM", "ContentLine", "read_content_ids", "read_contents", "sum_of_counts"]

ContentLine = dict[str, str | int]

# X's name first, then GA4's, then what shops say.
_TEXT_FIELDS = (
    ("content_id", ("content_id", "item_id", "product_id", "sku", "id")),
    ("content_name", ("content_name", "item_name", "name")),
    ("content_type", ("content_type", "item_category", "category")),
    ("content_group_id", ("content_group_id", "item_group_id")),
)
_PRICES = ("content_price", "item_price", "price")
_COUNTS = ("num_items", "quantity")
LARGEST_SUM = 2**31 - 1


def read_contents(lines: object, dropped: list[Drop]) -> list[ContentLine]:
    """Return the usable lines; what is unusable is dropped, since no line is worth losing the sale."""
    if is_object(lines):
        lines = [lines]
    if not isinstance(lines, list):
        dropped.append(Drop.INVALID_CONTENTS)
        return []
    return [line for raw in lines if (line := _read_line(raw, dropped))]


def read_content_ids(content_ids: object, content_type: object, dropped: list[Drop]) -> list[ContentLine]:
    """Return a line for each id of a list, all of one type: the shape that other ad platforms' pixels send."""
    lines: list[ContentLine] = []
    kind = read_text(content_type)
    for raw in content_ids if isinstance(content_ids, list) else [content_ids]:
        content_id = read_text(raw)
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


class _LineShape(Record, frozen=True, kw_only=True, gc=False):
    """The names that a line has, X's field by field."""

    texts: tuple[tuple[str, tuple[str, ...]], ...]
    prices: tuple[str, ...]
    counts: tuple[str, ...]


def _shape_of(keys: tuple[str, ...]) -> _LineShape:
    texts = ((field, present(names, keys)) for field, names in _TEXT_FIELDS)
    return _LineShape(
        texts=tuple((field, names) for field, names in texts if names),
        prices=present(_PRICES, keys),
        counts=present(_COUNTS, keys),
    )


_shapes = Shapes(_shape_of)


def _read_line(raw: object, dropped: list[Drop]) -> ContentLine | None:
    if not is_object(raw):
        dropped.append(Drop.INVALID_CONTENT)
        return None
    line: ContentLine = {}
    shape = _shapes.of(raw)
    for field, names in shape.texts:
        name, value = first_present(raw, names)
        text = read_text(value)
        if text is not None:
            line[field] = text
        elif name and not isinstance(value, str):
            dropped.append(Drop.INVALID_CONTENT_FIELD)
    if shape.prices:
        name, value = first_present(raw, shape.prices)
        price = read_amount(value)
        if price is not None:
            line["content_price"] = wire_amount(price)
        elif name:
            dropped.append(Drop.INVALID_CONTENT)
            return None
    if shape.counts:
        name, value = first_present(raw, shape.counts)
        count = read_count(value)
        if count is not None:
            line["num_items"] = count
        elif name:
            dropped.append(Drop.INVALID_CONTENT_COUNT)
    if not line:
        dropped.append(Drop.INVALID_CONTENT)
    return line
