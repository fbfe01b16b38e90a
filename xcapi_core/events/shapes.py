"""Shapes that serialisers make of objects and lists, undone.

PHP writes an empty object as `[]`, and a list with gaps as an object with its indices for keys; queues, form fields and
tag managers hand JSON on as text; Avro's JSON encoding names the type of each value of a union.
"""

import re
from collections.abc import Mapping
from typing import Final

from xcapi_core.events.decoding import decode_event, decode_every_value

__all__ = ["UNION_ATTRIBUTES", "as_list", "as_object", "has_unions", "is_union_type", "without_unions"]

# Pub/Sub's own attribute, and the name under which dead letters and remainders carry it.
UNION_ATTRIBUTES: Final = ("googclient_schemaencoding", "xcapi_schema_encoding")
_AVRO_TYPES: Final = frozenset({"array", "boolean", "bytes", "double", "float", "int", "long", "map", "null", "string"})
# Avro, "Names": a named type's full name has its namespace before a dot.
_FULL_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_DEEPEST_VALUE = 100


def as_object(value: object) -> object:
    """Return an object where `value` stands for one, else `value` as it is."""
    if value.__class__ is dict:
        return value
    if value.__class__ is str:
        value = _decoded_text(value)
    return {} if value == [] else value


def as_list(value: object) -> object:
    """Return a list where `value` stands for one, else `value` as it is. The order is the document's."""
    if value.__class__ is list:
        return value
    if value.__class__ is str:
        value = _decoded_text(value)
    if isinstance(value, dict) and value and all(map(_is_index, value)):
        return list(value.values())
    return value


def has_unions(attributes: Mapping[str, str]) -> bool:
    """Tell whether a message's data is Avro in its JSON encoding, by the message's attributes."""
    return bool(attributes) and any(attributes.get(name, "").strip().upper() == "JSON" for name in UNION_ATTRIBUTES)


def is_union_type(name: str) -> bool:
    """Tell whether Avro's JSON encoding may put this name around a value of a union."""
    return name in _AVRO_TYPES or _FULL_NAME.fullmatch(name) is not None


def without_unions(value: object, depth: int = 0) -> object:
    """Return a value with what Avro's unions put around values taken off, at every depth, in JSON text as well."""
    if depth > _DEEPEST_VALUE:
        return value
    if isinstance(value, list):
        return [without_unions(item, depth + 1) for item in value]
    if isinstance(value, str):
        opened = _decoded_text(value)
        if opened is value or without_unions(opened, depth + 1) == opened:
            return value
        # All that it says where it names one thing twice: nobody reads the text again.
        return without_unions(decode_every_value(value), depth + 1)
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if is_union_type(name):
            return without_unions(inner, depth + 1)
    return {name: without_unions(inner, depth + 1) for name, inner in value.items()}


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit()


def _decoded_text(value: object) -> object:
    """Return the object or list that a text is the JSON of; every other text as it is."""
    text = value.strip() if isinstance(value, str) else ""
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return value
    decoded = decode_event(text.encode("utf-8", "surrogatepass"))
    return decoded if isinstance(decoded, dict | list) else value
