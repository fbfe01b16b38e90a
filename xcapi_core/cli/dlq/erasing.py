"""One person's dead letters, for an erasure request: found by an e-mail address, plain or as its SHA-256."""

import hashlib
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from xcapi_core.cli.dlq.attributes import kept_attributes
from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.events_in_data import events_of, rewritten, unpacked
from xcapi_core.deliveries.outgoing import index_attributes
from xcapi_core.events.fields import cut_invisible
from xcapi_core.origins import original_event_indices
from xcapi_core.pubsub import PubsubMessage

__all__ = ["Erasure", "Person"]

_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)
_MOST_DECODINGS: Final = 3  # a page's address in a page's address; a cookie that was encoded twice
# Continuations of `xcapi_event_indices`.
_INDICES: Final = "xcapi_event_indices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What becomes of a dead letter: `rest` is published in its place, None where nothing is left of it."""

    rest: "Rest | None" = None
    events: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The events of a dead letter that are not the person's, as a dead letter of their own."""

    data: bytes = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)


class Person:
    """Tells whose an event is, by everything in it: any field, JSON in text, URL-encoded text."""

    def __init__(self, email: str) -> None:
        plain = cut_invisible(email).strip().casefold()
        digest = hashlib.sha256(plain.encode()).hexdigest()
        # Not a part of another address: mary-jane@example.com and jane@example.com.au are somebody else.
        self._theirs = re.compile(rf"(?<![\w.+%'-]){re.escape(plain)}(?![\w-]|\.\w)|(?<![0-9a-f]){digest}(?![0-9a-f])")

    def erase(self, dead_letter: DeadLetter) -> Erasure | None:
        """Return what is to be done with a dead letter in which the person is; None where the person is not."""
        events = events_of(dead_letter.data)
        attributes = {key: value for key, value in kept_attributes(dead_letter).items() if not self._is_in_text(value)}
        is_beside = any(map(self._is_in_text, dead_letter.attributes.values()))
        if events is None:
            plain = unpacked(dead_letter.data)
            raw = dead_letter.data if plain is None else plain
            is_there = is_beside or self._is_in_text(raw.decode("utf-8", "replace"))
            return Erasure() if is_there else None
        theirs = {number for number, event in enumerate(events) if self._is_in_bytes(event)}
        rest = rewritten(dead_letter.data, lambda number, event: None if number in theirs else event)
        if not theirs and (is_beside or self._is_in_bytes(rest or b"")):
            # Beside the events, so it is about all of them.
            return Erasure(events=len(events))
        if not theirs:
            return None
        if rest is None or self._is_in_bytes(rest):
            return Erasure(events=len(events))
        kept = [number for number in range(len(events)) if number not in theirs]
        return Erasure(
            rest=Rest(data=rest, attributes=_about(dead_letter, attributes, kept, len(events))), events=len(theirs)
        )

    def can_read(self, dead_letter: DeadLetter) -> bool:
        """Tell whether a dead letter's data is something that `erase` can look into."""
        return events_of(dead_letter.data) is not None

    def _is_in_bytes(self, event: bytes) -> bool:
        try:
            value: object = msgspec.json.decode(event)
        except _ERRORS:
            return self._is_in_text(event.decode("utf-8", "replace"))
        return any(self._is_in_text(text) for text in _texts(value))

    def _is_in_text(self, text: str) -> bool:
        for _ in range(_MOST_DECODINGS):
            if self._theirs.search(cut_invisible(text).casefold()):
                return True
            decoded = urllib.parse.unquote_plus(text)
            if decoded == text:
                break
            text = decoded
        return False


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value.lstrip()[:1] in ("{", "["):
            try:
                inner = json.loads(value)
            except (ValueError, RecursionError):
                return
            yield from _texts(inner)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _about(dead_letter: DeadLetter, attributes: Mapping[str, str], kept: list[int], count: int) -> dict[str, str]:
    """Return the attributes of what is left: how many events, and where they stood in their first message."""
    about = {key: value for key, value in attributes.items() if not key.startswith(_INDICES)}
    about.pop("xcapi_event_count", None)
    about.pop("xcapi_event_index", None)
    message = PubsubMessage(
        message_id="",
        publish_time="",
        data=b"",
        attributes=dead_letter.attributes,
        subscription="",
        ordering_key="",
        delivery_attempt=None,
    )
    indices = original_event_indices(message)
    if indices is None or len(indices) != count:
        indices = tuple(range(count))
    about |= index_attributes([indices[place] for place in kept])
    if len(kept) > 1:
        about["xcapi_event_count"] = str(len(kept))
    return about
