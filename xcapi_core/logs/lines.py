"""One JSON object a line on standard output, in the fields that Cloud Logging reads."""

import json
import math
import os
import re
import select
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import msgspec

from xcapi_core.logs.exceptions import format_exception

__all__ = ["Scalar", "Severity", "emit", "set_trace", "trace_from_headers"]

Severity = Literal["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]
Scalar = str | int | float | bool | None

_STANDARD_OUTPUT = 1
_LONGEST_WAIT_MS = 1_000
_RESERVED = frozenset({"severity", "time", "message", "event", "stack_trace", "logging.googleapis.com/trace"})
# A text field of such a name was never meant to be written: it is left out, and its name said instead. Counts are
# numbers and pass; what describes a secret without being one ("secret_version", "token_kind") passes too.
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:authorization|body|click_id|consumer_key|access_key|cookie|credential|credentials|data|digest|email|hash"
    r"|hashed|identifier|identifiers|ip|ip_address|key|keys|nonce|password|payload|phone|secret|signature|token|twclid"
    r"|user_agent)$"
)
# What would stand in a text of ours by mistake, and looks like nothing else: OAuth parameters, e-mail addresses and
# digests. Each pattern may only begin where a word does: that keeps the search linear in the text's length.
_MASKS = tuple(
    (re.compile(pattern), mask)
    for pattern, mask in (
        (r"""(?<!\w)(oauth_\w+)\\?["']?\s*[=:]\s*\\?["']?[^\s"',;&\\]+""", r"\1=[masked]"),
        (r"(?<![\w.+%-])[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*", "[email]"),
        (r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,}(?![0-9A-Za-z])", "[hex]"),
    )
)
_SHORTEST_HEX = 32  # characters

_trace: ContextVar[str | None] = ContextVar("trace", default=None)
_CLOUD_TRACE = re.compile(r"([0-9a-f]{32})(?:/.*)?", re.IGNORECASE)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*", re.IGNORECASE)  # W3C Trace Context

_write_lock = threading.Lock()
_encode_line = msgspec.json.Encoder().encode


def _renew_lock() -> None:
    # The server forks its worker; a lock that another thread of the parent held then would never open in the child.
    global _write_lock  # noqa: PLW0603
    _write_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


# The only lists that a line may hold; logs.conversion_ids says what may stand in them.
_NAME_LISTS = frozenset({"conversion_digests", "conversion_ids"})


def emit(
    severity: Severity, event: str, error: BaseException | None = None, /, **fields: Scalar | Sequence[str]
) -> None:
    """Write one line.

    `event` is a stable dotted name ("batch.delivered"); `fields` are counts, statuses, durations (with their unit in
    the name) and ids, never an event's content. Of `error` the types and the code's places are written, never its
    text. Never raises: a log line is no reason to fail a delivery.
    """
    shown, hidden = _presentable(fields)
    if hidden:
        shown["hidden_fields"] = ",".join(sorted(hidden))
    if error is not None:
        shown.setdefault("error", type(error).__qualname__)
    words = [event, *(f"{name}={value}" for name, value in shown.items() if not (value is None or name in _NAME_LISTS))]
    entry: dict[str, object] = {
        "severity": severity,
        "time": datetime.now(UTC),
        "message": " ".join(words),
        "event": event,
        **shown,
    }
    if error is not None:
        entry["stack_trace"] = format_exception(error)
    trace = _trace.get()
    if trace:
        entry["logging.googleapis.com/trace"] = trace
    try:
        line = _encode_line(entry)
    except (UnicodeEncodeError, TypeError):
        # A lone surrogate has no UTF-8; as an escape it is still JSON. And msgspec knows no subclass of str.
        line = json.dumps(entry, ensure_ascii=False, default=datetime.isoformat).encode("utf-8", "backslashreplace")
    _write(line + b"\n")


def set_trace(trace: str | None) -> None:
    """Connect what is logged from here on, in this request's context, with the request's trace."""
    _trace.set(trace)


def trace_from_headers(headers: Mapping[str, str], project: str | None) -> str | None:
    """Return the name of the request's trace as Cloud Logging wants it: `projects/…/traces/…`.

    `headers` has lower-case keys. None where no header names a trace, or the project is not known.
    """
    cloud_trace, traceparent = headers.get("x-cloud-trace-context"), headers.get("traceparent")
    named = _CLOUD_TRACE.fullmatch(cloud_trace) if cloud_trace else None
    if not named and traceparent:
        named = _TRACEPARENT.fullmatch(traceparent)
    if not named or not project or not named[1].strip("0"):
        return None
    return f"projects/{project}/traces/{named[1].lower()}"


@lru_cache(maxsize=512)  # the names are those in this code
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _presentable(fields: Mapping[str, object]) -> tuple[dict[str, Scalar | Sequence[str]], list[str]]:
    shown: dict[str, Scalar | Sequence[str]] = {}
    hidden: list[str] = []
    for name, value in fields.items():
        match value:
            case str() if _names_a_secret(name):
                hidden.append(name)
            case _ if name in _RESERVED:
                hidden.append(name)
            case list() if name in _NAME_LISTS:
                shown[name] = value
            case str():
                shown[name] = _masked(value)
            case float() if not math.isfinite(value):
                shown[name] = str(value)  # JSON has no such number
            case None | bool() | int() | float():
                shown[name] = value
            case _:  # not of the type that was asked for, so nothing is known of what its text would show
                hidden.append(name)
    return shown, hidden


def _masked(text: str) -> str:
    if len(text) < _SHORTEST_HEX and not ("@" in text or "%40" in text or "oauth_" in text):
        return text  # nearly every value of ours
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def _write(line: bytes) -> None:
    """Write a whole line at once.

    Not through `sys.stdout`: the framework exchanges it under concurrent requests (LOG_EXECUTION_ID), and two
    processes share the pipe, where a line of up to 4,096 bytes that is written at once stays in one piece.
    """
    with _write_lock:
        while line:
            try:
                line = line[os.write(_STANDARD_OUTPUT, line) :]
            except BlockingIOError:  # a full pipe that another process made non-blocking
                poll = select.poll()
                poll.register(_STANDARD_OUTPUT, select.POLLOUT)
                if not poll.poll(_LONGEST_WAIT_MS):
                    return
            except OSError:  # the reader of the pipe is gone
                return
