"""A JSON document read key by key: typed values out, every problem noted on the way, nothing raised in between."""

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from xcapi_core.problems import Problem

__all__ = ["Section", "describe", "did_you_mean", "kind", "parse_document"]

# What may be quoted back. X's keys and tokens have 25 characters and more; a word this short is none of them.
_QUOTABLE = re.compile(r"[\w.-]{1,16}", re.ASCII)
_LONGEST_QUOTED_KEY = 64
_MOST_DIGITS = 18

_Word = TypeVar("_Word", bound=str)


class _Object(dict[str, object]):
    """A JSON object that remembers which keys it was given twice."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, object]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        found.repeated = tuple(name for name in found if times[name] > 1)
    return found


def _bounded_integer(digits: str) -> int | float:
    # Python refuses to read a number of many thousand digits; no setting is anywhere near that.
    return int(digits) if len(digits) <= _MOST_DIGITS else math.inf


def parse_document(text: str) -> object:
    """Return the JSON value of `text`, or the Problem that says at which line and column it ends being JSON."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_bounded_integer)
    except json.JSONDecodeError as error:
        found = f"no JSON from line {error.lineno}, column {error.colno} on ({error.msg})"
    except RecursionError:
        found = "JSON nested too deeply"
    return Problem(path="$", found=found, expected="one JSON object")


def kind(value: object) -> str:
    """Describe a JSON value without a trace of its content: fit for what may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case "":
            return "empty text"
        case str():
            return "text of 1 character" if len(value) == 1 else f"text of {len(value)} characters"
        case list():
            return "a list"
        case _:
            return "an object"


def describe(value: object) -> str:
    """Describe a JSON value, quoting numbers and single short words."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if math.isfinite(value) else "a number without bounds"
    if isinstance(value, str) and _QUOTABLE.fullmatch(value):
        return f'"{value}"'
    return kind(value)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return ` (did you mean "…"?)` for the known word that comes closest, else nothing."""
    close = difflib.get_close_matches(word[:_LONGEST_QUOTED_KEY].lower(), list(known), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _shown(name: str) -> str:
    return name if name.isprintable() and 0 < len(name) <= _LONGEST_QUOTED_KEY else ascii(name[:_LONGEST_QUOTED_KEY])


class Section:
    """One object of the document.

    Each reading method returns the value, or its `default` where the key is missing, null or wrong; what is wrong is
    added to the list of problems that all sections of a document share. `close()` then reports the keys that nobody
    asked for. So a document is read to its end however much is wrong with it.
    """

    def __init__(self, value: object, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self._values: Mapping[str, object] = value if isinstance(value, dict) else {}
        self._known: list[str] = []
        self._present = isinstance(value, dict)
        if value is not None and not self._present:
            self.problem(path, kind(value), "an object")
        for name in getattr(value, "repeated", ()):
            self.problem(self.at(name), "the key more than once", "it once")

    def at(self, name: str) -> str:
        """Return the path of a key of this section."""
        return _shown(name) if self.path == "$" else f"{self.path}.{_shown(name)}"

    def problem(self, path: str, found: str, expected: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(path=path, found=found, expected=expected))

    def wrong(self, name: str, found: str, expected: str) -> None:
        """Note a problem with the value of a key."""
        self.problem(self.at(name), found, expected)

    def names(self) -> list[str]:
        """Return all keys, for a section whose keys are its user's own; they count as asked for."""
        self._known.extend(self._values)
        return list(self._values)

    def get(self, name: str) -> object:
        """Return the value of a key as it stands, None when missing: null means "the default" everywhere."""
        self._known.append(name)
        return self._values.get(name)

    def require(self, name: str, expected: str) -> object:
        """Return the value of a key, and note a problem when it has none."""
        value = self.get(name)
        if value is None and self._present:
            self.wrong(name, "null" if name in self._values else "nothing", expected)
        return value

    def section(self, name: str, required: str = "") -> "Section":
        """Return the object under a key, an empty section where there is none.

        `required` says what is expected: then a missing and an empty object are problems.
        """
        value = self.require(name, required) if required else self.get(name)
        if required and value == {}:
            self.wrong(name, "an empty object", required)
        return Section(value, self.at(name), self.problems)

    def text(self, name: str, expected: str, valid: Callable[[str], bool], *, required: bool = False) -> str | None:
        """Return a text for which `valid` holds."""
        value = self.require(name, expected) if required else self.get(name)
        if value is None or (isinstance(value, str) and value.isprintable() and valid(value)):
            return value
        self.wrong(name, describe(value), expected)
        return None

    def texts(self, name: str, expected: str) -> tuple[str, ...] | None:
        """Return a list of texts that are not empty."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            self.wrong(name, describe(value), expected)
            return None
        for index, element in enumerate(value):
            if not (isinstance(element, str) and element.strip() and element.isprintable()):
                self.problem(f"{self.at(name)}[{index}]", describe(element), "text that is not empty")
        return tuple(element for element in value if isinstance(element, str))

    def choice(self, name: str, words: tuple[_Word, ...], default: _Word) -> _Word:
        """Return one of `words`."""
        value = self.get(name)
        if value is None:
            return default
        for word in words:
            if value == word:
                return word
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        self.wrong(name, describe(value), "one of " + ", ".join(f'"{word}"' for word in words) + hint)
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.get(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self.wrong(name, describe(value), "true or false")
        return default

    def whole_number(self, name: str, highest: int) -> int | None:
        """Return a whole number from 1 to `highest`."""
        value = self.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= highest):
            return value
        self.wrong(name, describe(value), f"a whole number from 1 to {highest}")
        return None

    def positive_number(self, name: str, highest: float) -> float | None:
        """Return a number above 0 and up to `highest`."""
        value = self.get(name)
        if value is None:
            return None
        # NaN fails the comparison too.
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= highest:
            return float(value)
        self.wrong(name, describe(value), f"a number above 0 and at most {highest:g}")
        return None

    def close(self) -> None:
        """Note the keys that nobody asked for."""
        for name in self._values:
            if name not in self._known:
                self.wrong(name, "an unknown key", "a documented key" + did_you_mean(name, self._known))
