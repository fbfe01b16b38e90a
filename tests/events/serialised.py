"""What serialisers make of an event: of its objects and lists, of its values in Avro, and of the message around it."""

import gzip
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

__all__ = ["BODIES", "EMPTY_BESIDE", "LISTS", "OBJECTS", "in_unions", "shaped"]

_Draw = Callable[[st.SearchStrategy[Any]], Any]
_Shape = TypeVar("_Shape", bound=Callable[[Any], Any])


def _text(value: Any) -> str:
    return json.dumps(value)


def _text_in_text(value: Any) -> str:
    return json.dumps(json.dumps(value))


def _indices(items: list[Any]) -> dict[str, Any]:
    return {str(index): item for index, item in enumerate(items)}


# Where one object is expected, and where a list is.
OBJECTS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "as it is": lambda value: value,
    "text": _text,
    "text in text": _text_in_text,
}
LISTS: Final[Mapping[str, Callable[[list[Any]], Any]]] = {
    "as it is": lambda items: items,
    "text": _text,
    "text in text": _text_in_text,
    "indices": _indices,
    "gaps": lambda items: {str(index * 3 + 1): item for index, item in enumerate(items)},
    "indices as text": lambda items: _text(_indices(items)),
}
# An object that is one of several, or may be none.
EMPTY_BESIDE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "list of one": lambda value: [value],
    "indices": lambda value: {"0": value},
    "PHP's empty object before it": lambda value: [[], value],
    "an empty object behind it": lambda value: {"0": value, "1": {}},
    "typed column": lambda value: {"value": value},
}

_CLOUD_EVENT: Final = {"specversion": "1.0", "type": "sale", "source": "//shop.example", "id": "1"}
# The message that one event becomes; `array` is what its dialect calls several.
BODIES: Final[Mapping[str, Callable[[Any, str], bytes]]] = {
    "alone": lambda event, _: _text(event).encode(),
    "text": lambda event, _: _text_in_text(event).encode(),
    "text in text": lambda event, _: _text(_text_in_text(event)).encode(),
    "gzip": lambda event, _: gzip.compress(_text(event).encode(), mtime=0),
    "list": lambda event, _: _text([event]).encode(),
    "list of text": lambda event, _: _text([_text_in_text(event)]).encode(),
    "list in gzip": lambda event, _: gzip.compress(_text([event]).encode(), mtime=0),
    "indices": lambda event, _: _text({"0": event}).encode(),
    "array": lambda event, array: _text({array: [event]}).encode(),
    "array as indices": lambda event, array: _text({array: {"0": event}}).encode(),
    "array as text": lambda event, array: _text({array: _text([event])}).encode(),
    "array in a list": lambda event, array: _text([{array: [event]}]).encode(),
    "CloudEvent": lambda event, _: _text({**_CLOUD_EVENT, "data": event}).encode(),
    "CloudEvent with text": lambda event, _: _text({**_CLOUD_EVENT, "data": _text(event)}).encode(),
    "CloudEvent in gzip": lambda event, _: gzip.compress(_text({**_CLOUD_EVENT, "data": event}).encode(), mtime=0),
    "CloudEvent with Base64": lambda event, _: _text(
        {**_CLOUD_EVENT, "data_base64": b64encode(_text(event).encode()).decode()}
    ).encode(),
    "array in a CloudEvent": lambda event, array: _text({**_CLOUD_EVENT, "data": {array: [event]}}).encode(),
    "CloudEvents in a list": lambda event, _: _text([{**_CLOUD_EVENT, "data": event}]).encode(),
}


def shaped(value: Any, shapes: Mapping[str, _Shape], draw: _Draw, *, times: int = 1) -> Any:
    """Return a value in one of the shapes, in one of them again, and so on: at most so many times."""
    for _ in range(draw(st.integers(0, times))):
        value = shapes[draw(st.sampled_from(sorted(shapes)))](value)
    return value


def in_unions(value: Any, draw: _Draw) -> Any:
    """Return a value in Avro's JSON encoding, with the name of its type around some of the values in it."""
    if value in (None, {}, []):
        return value
    match value:
        case dict():
            bare: Any = {name: in_unions(inner, draw) for name, inner in value.items()}
            types = ["map", "com.example.Part"]
        case list():
            bare = [in_unions(inner, draw) for inner in value]
            types = ["array"]
        case bool():
            bare, types = value, ["boolean"]
        case int():
            bare, types = value, ["int", "long"]
        case str():
            bare, types = value, ["string", "com.example.Word"]
        case _:
            bare, types = value, ["double"]
    return {draw(st.sampled_from(types)): bare} if draw(st.booleans()) else bare
