"""Stands in for `sys.stdout` and `sys.stderr`, and makes a JSON line of each line that somebody prints."""

import io
import json
import os
import threading
from typing import TYPE_CHECKING

from xcapi_core.logs.lines import Severity, write_entry
from xcapi_core.logs.redaction import TracebackFilter, redact

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["JsonStream"]

_LONGEST_LINE = 100_000  # characters; a line without end is cut rather than kept


class JsonStream(io.TextIOBase):
    """A text stream by lines. What is printed is no log of ours, so it is redacted, and tracebacks lose their texts."""

    # Read by those who print ("can it take this character?").
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, descriptor: int, severity: Severity) -> None:
        super().__init__()
        self.name = f"<{name}>"
        self._stream = name
        self._descriptor = descriptor
        self._severity: Severity = severity
        self._pending = ""
        self._tracebacks = TracebackFilter()
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._renew_lock)

    @property
    def buffer(self) -> io.RawIOBase:
        """The same stream for bytes."""
        return _ByteStream(self)

    def write(self, text: str) -> int:
        """Take text; every line that it completes is written."""
        with self._lock:
            *lines, self._pending = (self._pending + text).split("\n")
            for line in lines:
                self._write_line(line)
            # traceback.print_exception() gives an exception's whole text, lines and all, in one call.
            self._tracebacks.end()
            if len(self._pending) > _LONGEST_LINE:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Write what has no end of line yet."""
        with self._lock:
            line, self._pending = self._pending, ""
            self._write_line(line)

    def writable(self) -> bool:
        """Tell that this is for writing."""
        return True

    def fileno(self) -> int:
        """Return the real stream's descriptor."""
        return self._descriptor

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def _write_line(self, line: str) -> None:
        lines = (self._tracebacks.keep(part) for part in _unwrapped(line).splitlines())
        shown = redact("\n".join(part for part in lines if part is not None))
        if shown.strip():
            write_entry(self._severity, f"process.output: {shown}", "process.output", {"stream": self._stream})


class _ByteStream(io.RawIOBase):
    def __init__(self, text: JsonStream) -> None:
        super().__init__()
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        data = bytes(data)
        self._text.write(data.decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        self._text.flush()


def _unwrapped(line: str) -> str:
    """Return the message of a line that the framework has made JSON of already (LOG_EXECUTION_ID)."""
    if line.startswith("{"):
        try:
            message = json.loads(line).get("message")
        except (ValueError, RecursionError):
            return line
        if isinstance(message, str):
            return message
    return line
