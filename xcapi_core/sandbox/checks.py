"""Checking JSON objects field by field, so that every problem is named at once. Pure."""

from collections.abc import Callable, Mapping
from typing import Final

from xcapi_core.problems import Problem

__all__ = [
    "BOOLEAN",
    "COUNT",
    "OBJECT",
    "SECONDS",
    "SHARE",
    "STATUS",
    "STRING",
    "Fields",
    "check_fields",
    "is_printable",
    "kind_of",
]

# A field's name, what says whether a value is good, and what is expected, in words.
Fields = Mapping[str, tuple[Callable[[object], bool], str]]

_LONGEST_WAIT_S: Final = 3600.0
_LONGEST_NUMBER: Final = 10**9
_HTTP_STATUSES: Final = range(200, 600)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and 0 <= value <= _LONGEST_WAIT_S


def _is_count(value: object) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _is_status(value: object) -> bool:
    return isinstance(value, int) and _is_number(value) and value in _HTTP_STATUSES


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and 0 <= value <= 1


def is_printable(value: object) -> bool:
    """Say whether a value may stand in an HTTP header."""
    return isinstance(value, str) and value.isascii() and value.isprintable()


STRING: Final = (lambda value: isinstance(value, str), "a string")
BOOLEAN: Final = (lambda value: isinstance(value, bool), "true or false")
OBJECT: Final = (lambda value: isinstance(value, dict), "an object")
SECONDS: Final = (_is_seconds, "seconds, 0 to 3600")
COUNT: Final = (_is_count, "a count, 0 or more")
STATUS: Final = (_is_status, "an HTTP status, 200 to 599")
SHARE: Final = (_is_share, "a share, 0 to 1")


def check_fields(found: Mapping[str, object], known: Fields, path: str) -> list[Problem]:
    """Return what is wrong with an object's fields: the unknown ones and the bad values."""
    problems = []
    for name, value in found.items():
        if name not in known:
            expected = "one of " + ", ".join(known)
            problems.append(Problem(path=f"{path}.{name}", found="an unknown field", expected=expected))
        elif not known[name][0](value):
            problems.append(Problem(path=f"{path}.{name}", found=kind_of(value), expected=known[name][1]))
    return problems


def kind_of(value: object) -> str:
    """Describe a value without quoting it: it may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}" if abs(value) < _LONGEST_NUMBER else "a huge number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"
