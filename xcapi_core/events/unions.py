"""Avro's JSON encoding, which puts the name of its type around each value of a union."""

import re
from collections.abc import Mapping
from typing import Final

from xcapi_core.events.consent_signals import is_signal
from xcapi_core.events.consent_values import opened_json, squeezed

__all__ = ["UNION_ATTRIBUTES", "has_unions", "is_union_type", "without_unions"]

# Pub/Sub's own attribute, and the name under which dead letters and remainders carry it.
UNION_ATTRIBUTES: Final = ("googclient_schemaencoding", "xcapi_schema_encoding")
_AVRO_TYPES: Final = frozenset({"array", "boolean", "bytes", "double", "float", "int", "long", "map", "null", "string"})
# Avro, "Names": a named type's full name has its namespace before a dot.
_FULL_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_DEEPEST_VALUE = 100


def has_unions(attributes: Mapping[str, str]) -> bool:
    """Tell whether a message's data is Avro in its JSON encoding, by the message's attributes."""
    return bool(attributes) and any(attributes.get(name, "").strip().upper() == "JSON" for name in UNION_ATTRIBUTES)


def is_union_type(name: str) -> bool:
    """Tell whether Avro's JSON encoding may put this name around a value of a union."""
    return name in _AVRO_TYPES or _FULL_NAME.fullmatch(name) is not None


def without_unions(value: object, field: str = "", depth: int = 0) -> object:
    """Return a value with what Avro's unions put around values taken off, at every depth, in JSON text as well.

    `field` is the name of the field that holds it.
    """
    if depth > _DEEPEST_VALUE:
        return value
    if isinstance(value, list):
        return [without_unions(item, field, depth + 1) for item in value]
    if isinstance(value, str):
        # All that it says where it names one thing twice: nobody reads the text again.
        opened = opened_json(value)
        bare = value if opened is value else without_unions(opened, field, depth + 1)
        return value if bare == opened else bare
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if is_union_type(name):
            bare = without_unions(inner, field, depth + 1)
            return {name: bare} if _is_flattened_signal(name, bare, field) else bare
    return {name: without_unions(inner, name, depth + 1) for name, inner in value.items()}


def _is_flattened_signal(name: str, value: object, field: str) -> bool:
    """Tell whether what looks like a type of Avro's is a lone signal of consent, as in {"consent.ad_storage": 0}.

    A signal's own type may be called like a signal: {"consent": {"com.example.Consent": {"ad_storage": 0}}}.
    """
    signal = name.rpartition(".")[2]
    if not is_signal(signal):
        return False
    return not is_signal(field) or not (isinstance(value, dict) or squeezed(signal) == squeezed(field))
