"""Everything about one event, masked unless asked otherwise: what the console's details show. Pure."""

import json
from collections.abc import Callable

from xcapi_core.sandbox.console.advice import advise
from xcapi_core.sandbox.console.entries import Attempt, Entry
from xcapi_core.sandbox.console.masking import Masker
from xcapi_core.sandbox.console.rulings import conversions_of
from xcapi_core.sandbox.recorder import iso

__all__ = ["details"]

_LONGEST_TEXT = 20_000


def details(entry: Entry, *, revealed: bool) -> dict[str, object]:
    """Return an entry as JSON; personal values, also where X quotes them, are whole only if `revealed`."""
    masker = Masker()
    masked_message = _message(entry.message, masker)
    masked_conversion = masker.value(entry.conversion)

    for attempt in entry.attempts:
        # An answer quotes values of every conversion of its request.
        for conversion, _ in conversions_of(attempt.exchange):
            masker.value(conversion)

    def words(text: str) -> str:
        return _cut(text if revealed else masker.words(text))

    row = entry.as_row()
    if revealed:
        row |= {"name": entry.name, "conversion_id": entry.conversion_id}
    last = entry.attempts[-1].finding if entry.attempts else None
    return {
        **row,
        "detail": words(entry.detail),
        "revealed": revealed,
        "message": _cut(_decoded(entry.message) if revealed else masked_message) if entry.message is not None else None,
        "conversion": entry.conversion if revealed else masked_conversion,
        "dropped": list(entry.dropped),
        "unread": [words(field) for field in entry.unread],
        "problems": [
            {"code": error.code, "message": words(error.message), "parameter": error.parameter}
            for error in (last.errors if last else ())
        ],
        "warnings": [words(warning) for warning in (last.warnings if last else ())],
        "advice": advise(entry),
        "exchanges": [_exchange(attempt, words) for attempt in entry.attempts],
    }


def _exchange(attempt: Attempt, words: Callable[[str], str]) -> dict[str, object]:
    request, answer = attempt.exchange.request, attempt.exchange.answer
    return {
        "time": iso(request.received_at),
        "request": f"{request.method} {words(request.path)} HTTP/1.1",
        "headers": dict(request.headers),
        "place": f"conversion {attempt.index + 1} of {attempt.of}" if attempt.of else "not readable as conversions",
        "status": request.status,
        "answer_headers": dict(answer.headers) if request.status else {},
        "answer": _answer(answer.body, words) if request.status else "",
        "duration_ms": request.duration_ms,
        "auth": request.auth,
        "hint": words(request.hint),
        "fault": request.fault,
    }


def _answer(body: bytes, words: Callable[[str], str]) -> str:
    """Return X's answer as text, JSON indented; values are masked before JSON's escapes hide them."""

    def leaves(value: object) -> object:
        match value:
            case dict():
                return {key: leaves(inner) for key, inner in value.items()}
            case list():
                return [leaves(inner) for inner in value]
            case str():
                return words(value)
            case _:
                return value

    text = body.decode("utf-8", "replace")
    try:
        return _cut(json.dumps(leaves(json.loads(text)), indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        return words(text)


def _message(message: bytes | None, masker: Masker) -> str:
    """Return a message's text, masked; of one that is no JSON, only its size."""
    if message is None:
        return ""
    try:
        return json.dumps(masker.value(json.loads(message)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"{len(message)} bytes that are no JSON, hidden until revealed"


def _decoded(body: bytes) -> str:
    """Return bytes as text, JSON indented."""
    text = body.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}\n… and {len(text) - _LONGEST_TEXT} more"
