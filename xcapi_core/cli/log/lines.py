"""Lines of the function's log, as the function writes them, or as Cloud Logging exports them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Final

__all__ = ["LogFile", "LogLine", "line_of", "parse_time"]

# Of a document that is no JSON lines: what `gcloud logging read --format=json` prints.
_LARGEST_DOCUMENT: Final = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line: its stable event name, when it was written, and its fields."""

    event: str
    time: datetime | None
    fields: Mapping[str, object] = field(repr=False)

    def text(self, name: str) -> str:
        """Return a field that is text, "" where it is not there."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float:
        """Return a field that is a number, 0 where it is not there."""
        value = self.fields.get(name)
        return float(value) if isinstance(value, int | float) else 0.0

    def names(self, name: str) -> tuple[str, ...]:
        """Return a field that is a list of texts."""
        value = self.fields.get(name)
        return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


class LogFile:
    """A file of log lines. `passed_over` counts what is there and no line of the function's."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.passed_over = 0

    def __iter__(self) -> Iterator[LogLine]:
        """Read on: JSON lines one by one, an exported array as a whole."""
        first = self._stream.readline()
        entries = self._array(first) if first.lstrip().startswith(b"[") else self._lines(first)
        for entry in entries:
            line = line_of(entry) if isinstance(entry, Mapping) else None
            if line is None:
                self.passed_over += 1
            else:
                yield line

    def _array(self, first: bytes) -> Iterable[object]:
        try:
            document = json.loads(first + self._stream.read(_LARGEST_DOCUMENT))
        except (ValueError, RecursionError):
            document = None
        return document if isinstance(document, list) else [None]

    def _lines(self, first: bytes) -> Iterator[object]:
        line = first
        while line:
            try:
                yield json.loads(line) if line.strip() else {"event": ""}
            except (ValueError, RecursionError):
                yield None
            line = self._stream.readline()


def line_of(entry: Mapping[str, object]) -> LogLine | None:
    """Read one entry: the function's own object, or Cloud Logging's with it in `jsonPayload`."""
    payload = entry.get("jsonPayload", entry)
    if not isinstance(payload, Mapping):
        return None
    event = payload.get("event")
    if not isinstance(event, str):
        return None
    when = payload.get("time") or entry.get("timestamp")
    return LogLine(event=event, time=parse_time(when), fields=payload)


def parse_time(text: object) -> datetime | None:
    """Read a time of the log, None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        # Cloud Logging writes nanoseconds, of which datetime takes six digits.
        found = datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00" if text.endswith("Z") else text)
    except ValueError:
        return None
    return found if found.tzinfo else None
