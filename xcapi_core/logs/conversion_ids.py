"""How the log names the conversions that a line is about, so that an order's fate can be found."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from xcapi_core.logs.lines import Scalar, Severity, emit

__all__ = ["HowToName", "emit_naming", "may_be_personal"]

HowToName = Literal["digest", "plain", "off"]

# Cloud Logging asks for entries below 64 KB; the rest is for the entry's other fields.
_LONGEST_LIST_BYTES = 48_000
_DIGEST_CHARACTERS = 16
_ENCODED_DIGEST_BYTES = len('"",') + _DIGEST_CHARACTERS
_HASH_CHARACTERS = 64
_LIST_NAMES = {"digest": "conversion_digests", "plain": "conversion_ids"}


def emit_naming(
    severity: Severity,
    event: str,
    conversions: Iterable[tuple[str, str]],
    how: HowToName,
    /,
    **fields: Scalar,
) -> None:
    """Write a line that names conversions, each a pair (pixel_id, conversion_id), as `log_conversion_ids` says.

    `digest` gives `conversion_digests`, the first 16 hex digits of SHA-256 over `pixel_id|conversion_id`; `plain` gives
    `conversion_ids`; `off` nothing. Ids that may be a person's address or hash are named in no mode. A list that does
    not fit one entry goes on in further ones of the same event, which have only the fields that are text: what they
    count stands in the first.
    """
    first, *more = list(_lists(conversions, how)) or [[]]
    name = _LIST_NAMES.get(how, "")
    emit(severity, event, **fields, **({name: first} if first else {}))
    texts = {field: value for field, value in fields.items() if isinstance(value, str)}
    for names in more:
        emit(severity, event, **texts, continued=True, **{name: names})


def _lists(conversions: Iterable[tuple[str, str]], how: HowToName) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for pixel_id, conversion_id in conversions:
        if how == "off" or may_be_personal(conversion_id):
            continue
        if how == "plain":
            name, length = conversion_id, _encoded_length(conversion_id)
        else:
            name, length = _digest(pixel_id, conversion_id), _ENCODED_DIGEST_BYTES
        if length > _LONGEST_LIST_BYTES:
            continue
        if size + length > _LONGEST_LIST_BYTES:
            yield names
            names, size = [], 0
        names.append(name)
        size += length
    if names:
        yield names


def _digest(pixel_id: str, conversion_id: str) -> str:
    named = f"{pixel_id}|{conversion_id}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(named).hexdigest()[:_DIGEST_CHARACTERS]


def may_be_personal(conversion_id: str) -> bool:
    """Tell whether an id may be a person's address or hash, so that no mode names it."""
    is_hash = len(conversion_id) == _HASH_CHARACTERS and all(
        digit in "0123456789abcdefABCDEF" for digit in conversion_id
    )
    return is_hash or "@" in conversion_id


def _encoded_length(name: str) -> int:
    """Return the bytes that a text takes in a JSON list, with its quotes and comma."""
    try:
        return len(msgspec.json.encode(name)) + 1
    except UnicodeEncodeError:  # a lone surrogate is escaped
        return 6 * len(name) + 3
