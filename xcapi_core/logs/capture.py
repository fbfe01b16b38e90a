"""Turns all that this process writes into JSON lines: the server's and the libraries' logs, prints, crashes."""

import io
import logging
import os
import sys
import threading
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from xcapi_core.logs.lines import Severity, emit

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["JsonStream", "install"]

# gunicorn and uvicorn give these handlers of their own after main.py was imported, and stop them from propagating. A
# filter of the logger itself comes before any handler and stays.
_SERVER_LOGGERS = ("gunicorn.error", "gunicorn.access", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
_SEVERITIES: tuple[tuple[int, Severity], ...] = (
    (logging.CRITICAL, "CRITICAL"),
    (logging.ERROR, "ERROR"),
    (logging.WARNING, "WARNING"),
)
# The C libraries under gRPC write to the error stream behind Python's back, not in JSON, and when traced with what is
# in a secret.
_QUIET = {"GRPC_VERBOSITY": "NONE", "GRPC_TRACE": "", "GLOG_minloglevel": "3", "ABSL_MIN_LOG_LEVEL": "3"}
# These log and print on behalf of their callers.
_WRITERS = frozenset({__name__, "functions_framework.execution_id", "gunicorn.glogging", "logging", "traceback"})


def install() -> None:
    """Make JSON lines of everything from here on, in this process and in those that it forks.

    To be called when main.py is imported; any number of times.
    """
    global _installed  # noqa: PLW0603 - a fork hook cannot be taken back, so it is set once
    if not _installed:
        _installed = True
        # With LOG_EXECUTION_ID on, the framework configures logging anew after main.py was imported: it disables the
        # loggers that are there and replaces the root's handler. The server's fork comes after that.
        os.register_at_fork(before=_install_logging)
    os.environ.update(_QUIET)
    # Google's clients log requests whole when this names them, with a handler of their own.
    os.environ.pop("GOOGLE_SDK_PYTHON_LOGGING_SCOPE", None)
    _install_logging()
    sys.excepthook = _report_crash
    threading.excepthook = _report_thread
    sys.unraisablehook = _report_unraisable
    if not isinstance(sys.stdout, JsonStream):
        sys.stdout = JsonStream("stdout", 1, "INFO")
    if not isinstance(sys.stderr, JsonStream):
        sys.stderr = JsonStream("stderr", 2, "WARNING")


class _JsonHandler(logging.Handler):
    """Writes the records that reach the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        _write_record(record)


class _ServerFilter(logging.Filter):
    """Writes a server logger's records itself, and lets none through to the server's own handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        _write_record(record)
        return False


_server_filter = _ServerFilter()
_installed = False


def _install_logging() -> None:
    # A record that cannot be formatted would be printed with its arguments.
    logging.raiseExceptions = False
    warnings.showwarning = _report_warning
    root = logging.getLogger()
    if not (len(root.handlers) == 1 and isinstance(root.handlers[0], _JsonHandler)):
        root.handlers[:] = [_JsonHandler()]
    root.setLevel(logging.WARNING)
    for name in _SERVER_LOGGERS:
        logging.getLogger(name).addFilter(_server_filter)
    for logger in root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


def _write_record(record: logging.LogRecord) -> None:
    """Say who logged, where, and about which exception: the text may quote an event, a key or a signature."""
    severity = next((name for level, name in _SEVERITIES if record.levelno >= level), None)
    if severity is None:
        return
    event = "server.log" if record.name.partition(".")[0] in ("gunicorn", "uvicorn") else "library.log"
    # The framework formats an exception into its text and hands over nothing else.
    error = record.exc_info[1] if record.exc_info else sys.exception()
    emit(severity, event, error, logger=record.name, location=_caller())


def _report_warning(  # noqa: PLR0917 - as warnings.showwarning is called
    message: Warning | str,  # noqa: ARG001 - left out, as every library's text
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    emit("WARNING", "library.log", logger="warnings", location=f"{filename}:{lineno}", error=category.__qualname__)


def _report_crash(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        emit("INFO", "process.interrupted")
    else:
        emit("CRITICAL", "process.crashed", error)


def _report_thread(crash: threading.ExceptHookArgs) -> None:
    if not issubclass(crash.exc_type, SystemExit):
        emit("ERROR", "thread.crashed", crash.exc_value)


def _report_unraisable(failure: "sys.UnraisableHookArgs") -> None:
    emit("ERROR", "process.unraisable", failure.exc_value)


class JsonStream(io.TextIOBase):
    """A text stream that logs each completed line: where it was printed and its length, never its text."""

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
    while frame.f_globals.get("__name__") in _WRITERS and frame.f_back:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
