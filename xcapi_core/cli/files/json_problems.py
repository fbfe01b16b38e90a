"""What is wrong with JSON that does not parse: line, column and the usual cause, without quoting it."""

import json
import re
from typing import Final

from xcapi_core.cli.files.envelopes import decoded_json

__all__ = ["json_problem"]

_CONSTANT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)', re.DOTALL)
_BOM: Final = "\ufeff"
# In a larger one, every broken event of many would be searched for.
_SEARCHED_BYTES: Final = 1_000_000
# What stands where the parser stopped → what its author probably did.
_STARTS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("'",), 'single quotes; JSON wants double ones (")'),
    (
        ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u00ab"),
        "typographic quotes; JSON wants the plain ones of a keyboard",
    ),
    (("None", "True", "False"), "Python's None, True or False; JSON has null, true and false"),
    (("undefined",), "undefined; JSON has null"),
    (("//", "/*", "#"), "a comment; JSON has none"),
)
# The parser's words → the cause, where the text does not tell more.
_WORDS: Final[tuple[tuple[str, str], ...]] = (
    ("Extra data", "more after the end of the value; several values go one a line (jq -c . FILE)"),
    ("Unterminated string", "text in quotes that has no end"),
    ("Invalid control character", "a line break or tab inside text; JSON writes \\n and \\t"),
    ("Invalid \\", "a backslash that escapes nothing; JSON writes \\\\"),
)


class _ConstantError(ValueError):
    pass


def json_problem(data: bytes, first_line: int = 1, *, within: bytes | None = None) -> str:
    """Return "line 3, column 17: a trailing comma" and the like; "" for JSON.

    `first_line` is where `data` begins; with `within`, where that begins, which `data` is a part of.
    """
    if decoded_json(data) is not None:
        return ""  # nearly always: an event that is invalid for another reason
    if within is not None and len(within) <= _SEARCHED_BYTES and (start := within.find(data)) > 0:
        before = within[:start]
        first_line += before.count(b"\n")
        indent = len(before.rpartition(b"\n")[2].decode("utf-8", "replace"))
        return _problem(data, first_line, indent)
    return _problem(data, first_line, 0)


def _problem(data: bytes, first_line: int, indent: int) -> str:
    try:
        text = data.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        return f"line {first_line + data.count(10, 0, error.start)}: bytes that are no UTF-8"
    try:
        json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return _at(text, error.pos, first_line, indent, _cause(text, error))
    except _ConstantError:
        at = next((found.start(1) for found in _CONSTANT.finditer(text) if found[1]), 0)
        return _at(text, at, first_line, indent, "NaN or Infinity; JSON has neither, null is what says nothing")
    except RecursionError:
        return "JSON nested too deeply"
    except ValueError:
        return "a number of too many digits"
    return ""


def _refuse(name: str) -> object:
    raise _ConstantError(name)


def _at(text: str, position: int, first_line: int, indent: int, cause: str) -> str:
    line = text.count("\n", 0, position)
    column = position - (text.rfind("\n", 0, position) + 1) + 1 + (0 if line else indent)
    return f"line {first_line + line}, column {column}: {cause}"


def _cause(text: str, error: json.JSONDecodeError) -> str:
    position = error.pos
    rest = text[position : position + 1_000].lstrip()
    before = text[max(0, position - 1_000) : position].rstrip()[-1:]
    # Where it stops depends on Python's version: at the comma, or at the bracket after it.
    if (before == "," and rest[:1] in ("}", "]")) or (rest[:1] == "," and rest[1:].lstrip()[:1] in ("}", "]")):
        return "a trailing comma"
    for starts, cause in _STARTS:
        if rest.startswith(starts):
            return cause
    if not text[position:].strip():
        return "it ends too early: cut off, or a bracket is missing"
    for words, cause in _WORDS:
        if error.msg.startswith(words):
            return cause
    if error.msg.startswith("Expecting ','") and (rest[:1] in '"{[-' or rest[:1].isalnum()):
        return "a missing comma"
    if error.msg.startswith("Expecting property name"):
        return "a name without quotes" if rest[:1].isalpha() or rest[:1] in "_$" else "a name in quotes is missing"
    if error.msg.startswith("Expecting ':'"):
        return "a colon is missing after a name"
    return "not JSON"
