"""Masks what is personal in a conversion that is to be shown. Pure."""

import re

import msgspec

from xcapi_core.cli.foreign_text import ADDRESS, SHA256, printable

__all__ = ["masked", "shown_text"]

# Somebody's, in an id, a page's address or free text. An order's id may well have 32 hexadecimal digits.
_PERSONAL = re.compile(f"{ADDRESS}|{SHA256}")
# Where a page's address has click ids, and what forms send.
_QUERY = re.compile(r"([?#]).+", re.DOTALL)


def masked(wire: bytes) -> dict[str, object]:
    """Return a conversion with its identifiers masked, wherever they stand: enough of each to know one's own by."""
    conversion: dict[str, object] = msgspec.json.decode(wire)
    return {
        name: _of_person(value) if name == "identifiers" else _shown(value, name) for name, value in conversion.items()
    }


def shown_text(text: str) -> str:
    """Return a text without the addresses and digests in it, nor what steers a terminal."""
    return printable(_PERSONAL.sub(lambda found: _abbreviated(found[0]), text))


def _shown(value: object, name: str) -> object:
    match value:
        case dict():
            return {inner: _shown(one, inner) for inner, one in value.items()}
        case list():
            return [_shown(one, name) for one in value]
        case str() if name == "event_source_url":
            return shown_text(_QUERY.sub(r"\1…", value))
        case str():
            return shown_text(value)
        case _:
            return value


def _of_person(identifiers: object) -> object:
    if not isinstance(identifiers, list):
        return identifiers
    return [{kind: _mask(kind, str(value)) for kind, value in element.items()} for element in identifiers]


def _mask(kind: str, value: str) -> str:
    if kind.startswith("hashed_"):
        return f"{value[:8]}…"
    if kind == "ip_address":
        return f"{value.partition('.')[0]}.…"
    if kind == "user_agent":
        return f"{value.partition(' ')[0][:16]}…"
    return _abbreviated(value)


def _abbreviated(text: str) -> str:
    return f"{text[:4]}…" if len(text) > 8 else "…"  # noqa: PLR2004 - a click id has 26
