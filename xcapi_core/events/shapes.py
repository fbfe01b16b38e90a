"""Shapes that serialisers make of objects and lists, undone.

PHP writes an empty object as `[]`, and a list with gaps as an object with its indices for keys; queues, form fields and
tag managers hand JSON on as text, and the next one that text once more.
"""

from xcapi_core.events.fields import json_in_text

__all__ = ["as_list", "as_object"]


def as_object(value: object) -> object:
    """Return an object where `value` stands for one, else `value` as it is."""
    if value.__class__ is dict:
        return value
    value = json_in_text(value)
    return {} if value == [] else value


def as_list(value: object) -> object:
    """Return a list where `value` stands for one, else `value` as it is. The order is the document's."""
    if value.__class__ is list:
        return value
    value = json_in_text(value)
    if isinstance(value, dict) and value and all(map(_is_index, value)):
        return list(value.values())
    return value


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit()
