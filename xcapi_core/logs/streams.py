"""Stands in for `sys.stdout` and `sys.stderr`: of what somebody prints, the log says where and how much."""

import io
import sys
import traceback
from typing import TYPE_CHECKING

from xcapi_core.logs.lines import Severity, emit

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["JsonStream"]

# What prints for somebody else: its caller is who printed.
_PRINTERS = frozenset({__file__, traceback.__file__})


class JsonStream(io.TextIOBase):
    """A text stream that writes a line of the log where somebody completes one, and none of the text."""

    # Read by those who print ("can it take this character?").
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, descriptor: int, severity: Severity) -> None:
        super().__init__()
        self.name = f"<{name}>"
        self._stream = name
        self._descriptor = descriptor
        self._severity: Severity = severity
        self._characters = 0

    @property
    def buffer(self) -> io.RawIOBase:
        """The same stream for bytes."""
        return _ByteStream(self)

    def write(self, text: str) -> int:
        """Count text, and tell of it once a line is complete."""
        self._characters += len(text)
        if text.endswith("\n"):
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Tell of what was printed since the last time."""
        characters, self._characters = self._characters, 0
        if characters:
            error = sys.exception()
            emit(
                self._severity,
                "process.output",
                stream=self._stream,
                location=_caller(),
                characters=characters,
                error=type(error).__qualname__ if error else None,
            )

    def writable(self) -> bool:
        """Tell that this is for writing."""
        return True

    def fileno(self) -> int:
        """Return the real stream's descriptor."""
        return self._descriptor


class _ByteStream(io.RawIOBase):
    def __init__(self, text: JsonStream) -> None:
        super().__init__()
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        data = bytes(data)
        self._text.write(data.decode("latin-1"))
        return len(data)

    def flush(self) -> None:
        self._text.flush()


def _caller() -> str:
    frame = sys._getframe()  # noqa: SLF001 - the way that logging finds a caller, too
    while frame.f_code.co_filename in _PRINTERS and frame.f_back:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
