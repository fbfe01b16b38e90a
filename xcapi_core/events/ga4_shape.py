"""The shapes of `ga4`, brought into one: a Measurement Protocol body, one event of it, event data, an export's row.

Sources: GA4 Measurement Protocol reference; Tag Manager, "Common event data"; "[GA4] BigQuery Export schema".
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from xcapi_core.events.bodies import only_event_of
from xcapi_core.events.fields import is_absent, is_object, kind_of
from xcapi_core.problems import Problem
from xcapi_core.records import Record

__all__ = ["Ga4Event", "open_ga4"]

# What every event of a body inherits; the event's own wins.
_INHERITED: Final = (
    "consent",
    "ip_override",
    "page_location",
    "timestamp_micros",
    "twclid",
    "user_agent",
    "user_data",
    "user_id",
)
_TYPED_VALUES: Final = ("string_value", "int_value", "double_value", "float_value")


class Ga4Event(Record, frozen=True, gc=False):
    """One event: `fields` are its own, its parameters and what it inherits. `at` is where the parameters stand."""

    _shown: ClassVar[tuple[str, ...]] = ("name", "at")

    name: object
    fields: Mapping[str, object]
    at: str


def open_ga4(event: Mapping[str, object]) -> Ga4Event | Problem:
    """Return the one event that stands in any of the shapes."""
    is_event = any(key in event for key in ("event_name", "name", "params"))
    inner = None if is_event else only_event_of(event, ("events", "conversions"))
    if inner is None:
        return _open(event, event, "")
    if isinstance(inner, Problem):
        return inner
    opened = _open(inner, dict(inner), "events[0].")
    if isinstance(opened, Problem):
        return opened
    fields = dict(opened.fields)
    for name in _INHERITED:
        if is_absent(fields.get(name)):
            fields[name] = event.get(name)
    return Ga4Event(opened.name, fields, opened.at)


def _open(event: Mapping[str, object], fields: Mapping[str, object], prefix: str) -> Ga4Event | Problem:
    params = event.get("params")
    if is_object(params):
        # `name` is the event's; a parameter called so is anybody's.
        return Ga4Event(
            event.get("name") or event.get("event_name"),
            {**fields, **{name: value for name, value in params.items() if value is not None}},
            f"{prefix}params.",
        )
    if params is not None:
        return Problem(path=f"{prefix}params", found=kind_of(params), expected="a JSON object")
    name = event.get("event_name") or event.get("name")
    rows = event.get("event_params")
    if rows is None:
        return Ga4Event(name, fields, prefix)
    if is_object(rows):
        return Ga4Event(name, {**fields, **rows}, f"{prefix}event_params.")
    if not isinstance(rows, list):
        return Problem(path=f"{prefix}event_params", found=kind_of(rows), expected="a list of keys and values")
    merged = dict(fields)
    for row in rows:
        if is_object(row) and isinstance(key := row.get("key"), str):
            value = row.get("value")
            if is_object(value):
                value = next((value[kind] for kind in _TYPED_VALUES if value.get(kind) is not None), None)
            if value is not None:
                merged[key] = value
    return Ga4Event(name, merged, f"{prefix}event_params.")
