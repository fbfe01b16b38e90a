"""What X accepts as a conversion, and what it says about one that it does not accept. Pure."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from xcapi_core.sandbox.answers import ApiError
from xcapi_core.sandbox.config import SandboxPixel
from xcapi_core.sandbox.identifier_rules import Report, Warn, judge_identifiers
from xcapi_core.sandbox.wording import Words, shown

__all__ = ["Finding", "judge", "short_tag"]

# X: "Expected Time in yyyy-MM-ddTHH:mm:ss.SSSZ"; one of X's own examples leaves the milliseconds out.
_TIME_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_TIMESTAMP_FORM = re.compile(r"\d{13}", re.ASCII)
_DECIMAL_FORM = re.compile(r"\d+(\.\d+)?", re.ASCII)
_CURRENCY_FORM = re.compile(r"[A-Z]{3}", re.ASCII)
_WARNINGS_KEPT = 20

_STRINGS: Final = ("conversion_id", "description", "event_source_url", "search_string")
_CONTENT_STRINGS: Final = ("content_id", "content_name", "content_type", "content_group_id")


@dataclass(frozen=True, slots=True)
class Finding:
    """What X has to say about one conversion: `errors` refuse it, `warnings` are the sandbox's own remarks."""

    errors: tuple[ApiError, ...]
    warnings: tuple[str, ...]


def short_tag(event_tag: str, pixel_id: str) -> str:
    """Return the tag without this pixel's `tw-{pixel_id}-` in front: both spellings name one tag."""
    return event_tag.removeprefix(f"tw-{pixel_id}-")


def judge(raw: object, pixel: SandboxPixel, *, any_tag: bool, named: bool) -> Finding:
    """Judge one element of X's `conversions` array as X does, on its own.

    `named` puts the offending value into the message, as X mostly does. Nothing raises, whatever `raw` is.
    """
    errors: list[ApiError] = []
    warnings: list[str] = []
    words = Words(named=named)
    if not isinstance(raw, dict):
        return Finding((words.expected("Object", raw, "conversions"),), ())
    conversion: dict[str, object] = raw
    _judge_time(conversion, words, errors.append)
    _judge_tag(conversion, pixel, words, errors.append, any_tag=any_tag)
    judge_identifiers(conversion.get("identifiers"), words, errors.append, warnings.append)
    _judge_money(conversion, words, errors.append, warnings.append)
    _judge_strings(conversion, _STRINGS, words, errors.append)
    _judge_count(conversion, "number_items", words, errors.append)
    _judge_count(conversion, "number_item", words, errors.append)
    if "number_item" in conversion:
        warnings.append("number_item stands in X's example; its table of fields has number_items: send that")
    _judge_contents(conversion, words, errors.append, warnings.append)
    if not conversion.get("conversion_id"):
        warnings.append("no conversion_id: X cannot drop a repetition")
    unknown = (name for name in conversion if name not in _TOP_LEVEL)
    warnings.extend(f"unknown field {shown(name)}: X does not document it" for name in unknown)
    return Finding(tuple(errors), tuple(warnings[:_WARNINGS_KEPT]))


_TOP_LEVEL: Final = frozenset(
    {
        *("conversion_time", "conversion_timestamp", "event_id", "identifiers", "value", "price_currency"),
        *("number_items", "number_item", "contents", *_STRINGS),
    }
)


def _judge_time(conversion: Mapping[str, object], words: Words, report: Report) -> None:
    found = conversion.get("conversion_time")
    timestamp = conversion.get("conversion_timestamp")
    if found is None and timestamp is not None:
        # Epoch milliseconds, as X's own GTM template sends them.
        if isinstance(timestamp, bool) or not _TIMESTAMP_FORM.fullmatch(str(timestamp)):
            report(words.expected("Long", timestamp, "conversion_timestamp"))
        return
    if not (isinstance(found, str) and _TIME_FORM.fullmatch(found) and _is_a_moment(found)):
        report(words.expected("Time in yyyy-MM-ddTHH:mm:ss.SSSZ", found, "conversion_time"))


def _is_a_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _judge_tag(
    conversion: Mapping[str, object], pixel: SandboxPixel, words: Words, report: Report, *, any_tag: bool
) -> None:
    found = conversion.get("event_id")
    if found is None or found == "":
        report(ApiError("INVALID_PARAMETER", "Event ID was not found", "event_id"))
        return
    if not isinstance(found, str):
        report(words.expected("String", found, "event_id"))
        return
    if any_tag or short_tag(found, pixel.pixel_id) in pixel.event_tags:
        return
    if found != pixel.pixel_id:  # the pixel's own id belongs to the account, and is no event tag
        report(words.invalid("event_id", found, "does not belong to provided account", code="NOT_FOUND"))
    report(words.invalid("event_id", found, "is not a single event tag (SET)"))


def _judge_money(conversion: Mapping[str, object], words: Words, report: Report, warn: Warn) -> None:
    value = conversion.get("value")
    if value is not None:
        if not _is_decimal(value):
            report(words.expected("Double", value, "value"))
        elif isinstance(value, str) and "." not in value:
            warn("value has no decimals: write 200.00, X has refused 200")
        if conversion.get("price_currency") is None:
            warn("value without price_currency: X counts the conversion but leaves its revenue blank")
    currency = conversion.get("price_currency")
    if currency is not None and not (isinstance(currency, str) and _CURRENCY_FORM.fullmatch(currency)):
        report(words.expected("ISO 4217 currency code", currency, "price_currency"))


def _is_decimal(value: object) -> bool:
    """Say whether X takes a value as money: a decimal string or a JSON number with decimals, never an integer."""
    if isinstance(value, str):
        return _DECIMAL_FORM.fullmatch(value) is not None
    # A float is a JSON number with a point or an exponent.
    return isinstance(value, float) and math.isfinite(value) and value >= 0


def _judge_strings(holder: Mapping[str, object], names: tuple[str, ...], words: Words, report: Report) -> None:
    for name in names:
        value = holder.get(name)
        if value is not None and not isinstance(value, str):
            report(words.expected("String", value, name))


def _judge_count(holder: Mapping[str, object], name: str, words: Words, report: Report) -> None:
    value = holder.get(name)
    # bool is an int in Python, and is none in JSON.
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value <= 0):
        report(words.expected("Positive Integer", value, name))


def _judge_contents(conversion: Mapping[str, object], words: Words, report: Report, warn: Warn) -> None:
    found = conversion.get("contents")
    if found is None:
        return
    if not isinstance(found, list):
        report(words.expected("Array", found, "contents"))
        return
    for line in _objects(found, words, report):
        price = line.get("content_price")
        if price is not None and not _is_decimal(price):
            report(words.expected("Double", price, "content_price"))
        _judge_strings(line, _CONTENT_STRINGS, words, report)
        _judge_count(line, "num_items", words, report)
        for name in line:
            if name not in _CONTENT_FIELDS:
                warn(f"unknown content field {shown(name)}: X does not document it")


_CONTENT_FIELDS: Final = frozenset({*_CONTENT_STRINGS, "content_price", "num_items"})


def _objects(lines: list[object], words: Words, report: Report) -> Iterator[dict[str, object]]:
    for line in lines:
        if isinstance(line, dict):
            yield line
        else:
            report(words.expected("Object", line, "contents"))
