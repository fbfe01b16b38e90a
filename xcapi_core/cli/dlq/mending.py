"""Mending events on the way: a field set in each, or all of a dead letter in an editor; never consent or pixel_id."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import click
import msgspec

from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.events_in_data import events_of, rewritten, unpacked
from xcapi_core.cli.dlq.replaying import MendingError
from xcapi_core.cli.files import json_problem
from xcapi_core.events.consent_signals import is_signal
from xcapi_core.events.consent_values import squeezed

__all__ = ["EditInEditor", "SetFields", "guarded_values", "read_assignment"]

_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])


def _is_guarded(name: str) -> bool:
    """Tell whether a field says what somebody consented to, or whose event it is."""
    return is_signal(name) or squeezed(name) == "pixelid"


@dataclass(frozen=True, slots=True)
class Assignment:
    """`path` in an event, and the JSON that belongs there."""

    path: tuple[str, ...]
    value: bytes


def read_assignment(text: str) -> Assignment:
    """Read FIELD=VALUE: "user.email" is email in user; VALUE is JSON where it can be, else text.

    Raises click.BadParameter.
    """
    field, equals, value = text.partition("=")
    path = tuple(part.strip() for part in field.split("."))
    if not equals or not all(path):
        raise click.BadParameter("FIELD=VALUE is wanted, for example order_id=10001", param_hint="--set")
    try:
        encoded = msgspec.json.encode(msgspec.json.decode(value, type=msgspec.Raw))
    except _ERRORS:
        encoded = msgspec.json.encode(value)
    is_guarded = any(map(_is_guarded, path))
    if is_guarded or list(guarded_values(msgspec.json.decode(encoded))):
        raise click.BadParameter(
            "consent and pixel_id are the publisher's to say, and stay as they are", param_hint="--set"
        )
    return Assignment(path, encoded)


class SetFields:
    """Sets fields in each event of a dead letter; all other bytes of an event stay as they are."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        self._assignments = assignments

    def __call__(self, dead_letter: DeadLetter) -> bytes:
        """Return the mended data. Raises MendingError."""
        changed = rewritten(dead_letter.data, lambda _, event: self._mended(event))
        if changed is None:
            raise MendingError("no JSON in which a field could be set")
        _refuse_guarded_changes(dead_letter.data, changed)
        return changed

    def _mended(self, event: bytes) -> bytes:
        for assignment in self._assignments:
            event = _with_value(event, assignment.path, assignment.value)
        return event


class EditInEditor:
    """Opens the data of each dead letter in $EDITOR, one after the other, until it is JSON or given up."""

    def __init__(self) -> None:
        self._one_editor = threading.Lock()

    def __call__(self, dead_letter: DeadLetter) -> bytes:
        """Return the mended data, the very bytes where nothing was changed. Raises MendingError."""
        data = unpacked(dead_letter.data)
        try:
            text = "" if data is None else data.decode()
        except UnicodeDecodeError:
            data = None
        if data is None:
            raise MendingError("data that is no text, which no editor can show")
        with suppress(*_ERRORS):  # what is no JSON is shown as it came: that may be what is to be mended
            text = msgspec.json.format(text, indent=2)
        with self._one_editor:
            click.echo(f"Editing message {dead_letter.message_id} ({dead_letter.reason}).", err=True)
            edited = click.edit(text, extension=".json", require_save=True)
        if edited is None or edited.strip() == text.strip():
            return dead_letter.data
        changed = edited.strip().encode()
        if not changed:
            raise MendingError("emptied in the editor")
        if problem := json_problem(changed):
            click.echo(f"Message {dead_letter.message_id} stays: {problem}.", err=True)
            raise MendingError("no JSON after editing")
        if len(events_of(changed) or ()) != len(events_of(dead_letter.data) or (b"",)):
            raise MendingError("another number of events after editing")
        _refuse_guarded_changes(dead_letter.data, changed)
        return changed


def guarded_values(value: object) -> Iterator[tuple[str, object]]:
    """Yield every field of a JSON value that speaks of consent or names a pixel, at whatever depth, also in text."""
    if isinstance(value, dict):
        key = value.get("key")
        if isinstance(key, str) and _is_guarded(key):  # a parameter of an exported row
            yield key, value
            return
        for name, inner in value.items():
            if _is_guarded(name):
                yield name, inner
            else:
                yield from guarded_values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from guarded_values(inner)
    elif isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            inner = msgspec.json.decode(value)
        except _ERRORS:
            return
        yield from guarded_values(inner)


def _refuse_guarded_changes(before: bytes, after: bytes) -> None:
    if _guarded_of(before) != _guarded_of(after):
        raise MendingError("consent or pixel_id would change, which are the publisher's to say")


def _guarded_of(data: bytes) -> list[list[tuple[str, object]]] | None:
    """Return what speaks of consent around the events and in each of them; None where the data is no JSON."""
    plain = unpacked(data)
    try:
        return (
            None if plain is None else [list(guarded_values(msgspec.json.decode(plain.removeprefix(b"\xef\xbb\xbf"))))]
        )
    except _ERRORS:
        return None


def _with_value(raw: bytes, path: Sequence[str], value: bytes) -> bytes:
    """Return `raw` with `value` at `path`; only what lies on the path is written anew."""
    if not path:
        return value
    try:
        if raw.startswith(b"[") and path[0].isdecimal():
            elements = [bytes(element) for element in _lists.decode(raw)]
            if int(path[0]) >= len(elements):
                raise MendingError("a list without so many elements")
            elements[int(path[0])] = _with_value(elements[int(path[0])], path[1:], value)
            return b"[" + b",".join(elements) + b"]"
        members = {} if raw == b"null" else {name: bytes(inner) for name, inner in _objects.decode(raw).items()}
    except _ERRORS as error:
        raise MendingError("the field would stand in something that is no object") from error
    members[path[0]] = _with_value(members.get(path[0], b"null"), path[1:], value)
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + inner for name, inner in members.items()) + b"}"
