"""Logging's query language, as far as the module's log-based metrics use it, on lines that the function wrote."""

import re
from collections.abc import Iterable, Mapping

__all__ = ["events_named", "matches", "texts"]

Entry = Mapping[str, object]

_EITHER = re.compile(r"\((?P<terms>[^()\"]+ OR [^()\"]+)\)\s*")
_LOG = re.compile(r'log_id\("(?P<name>[^"]+)"\)\s*')
_TERM = re.compile(
    r'(?P<field>[\w.]+)\s*(?P<operator>=~|>=|>|=|:)\s*(?P<value>\("[^)]*"\)|"[^"]*"|\*|[\w.]+)(?:\s+AND)?\s*'
)


def events_named(text: str) -> set[str]:
    """Return the log events that a filter names in full."""
    terms = re.findall(r'jsonPayload\.event=(\([^)]*\)|"[^"]*")', text)
    return {name for term in terms for name in re.findall(r'"([^"]+)"', term)}


def matches(text: str, entry: Entry, labels: Mapping[str, str]) -> bool:
    """Tell whether a line matches; `labels` are the resource's and `log_id`, by the names that a filter uses."""
    position = 0
    while position < len(text):
        if either := _EITHER.match(text, position):
            position = either.end()
            if not any(matches(term, entry, labels) for term in either["terms"].split(" OR ")):
                return False
            continue
        if log := _LOG.match(text, position):
            position = log.end()
            if labels.get("log_id") != log["name"]:
                return False
            continue
        term = _TERM.match(text, position)
        assert term, f"not understood: {text[position:]}"
        position = term.end()
        name = term["field"]
        found = entry.get(name.removeprefix("jsonPayload.")) if name.startswith("jsonPayload.") else labels.get(name)
        if name == "textPayload":
            found = entry.get("textPayload")
        if not _holds(found, term["operator"], term["value"]):
            return False
    return True


def texts(extractor: str, entries: Iterable[Entry]) -> list[str]:
    """Return what EXTRACT(jsonPayload.NAME) finds in each line, "" where there is nothing."""
    name = re.fullmatch(r"EXTRACT\(jsonPayload\.(\w+)\)", extractor)
    assert name, extractor
    return [str(entry.get(name[1], "")) for entry in entries]


def _holds(found: object, operator: str, value: str) -> bool:
    if found is None:
        return False
    if operator == ":":
        return True
    if operator == "=~":
        return re.search(value.strip('"'), str(found)) is not None
    if operator == "=":
        return str(found) in (re.findall(r'"([^"]*)"', value) or [value])
    number = float(str(found))
    return number >= float(value) if operator == ">=" else number > float(value)
