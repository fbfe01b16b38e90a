"""Bodies of one event: a Measurement Protocol body, a Segment batch, or what either is wrapped in."""

from collections.abc import Mapping

from xcapi_core.events.fields import is_object, kind_of
from xcapi_core.problems import Problem

__all__ = ["only_event_of"]


def only_event_of(body: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object] | Problem | None:
    """Return the one event in a body's array of one of these names, None where it has none of them."""
    given = [name for name in names if body.get(name) is not None]
    if not given:
        return None
    name = given[0]
    events = body[name]
    if len(given) > 1:
        return Problem(path=name, found=f"both {name} and {given[1]}", expected="one of the two")
    if not isinstance(events, list):
        return Problem(path=name, found=kind_of(events), expected="a list of events")
    if len(events) != 1:
        return Problem(path=name, found="no event" if not events else "several events", expected="one event")
    inner: object = events[0]
    if not is_object(inner):
        return Problem(path=f"{name}[0]", found=kind_of(inner), expected="a JSON object")
    return inner
