"""A message's data as it may be packed: gzip'ed, and JSON as the text of a JSON string."""

import zlib

import msgspec

from xcapi_core.events.decoding import BYTE_ORDER_MARK, DECODING_ERRORS, JSON_SPACE
from xcapi_core.problems import Problem

__all__ = ["MAX_UNPACKED_BYTES", "pack", "text_within", "unpack"]

MAX_UNPACKED_BYTES = 16_000_000
_GZIP = b"\x1f\x8b\x08"  # RFC 1952, section 2.3.1: its two bytes, and deflate, the only method
_GZIP_WINDOW = zlib.MAX_WBITS | 16
_FASTEST = 1  # of zlib's levels

_texts = msgspec.json.Decoder(str)


def pack(data: bytes) -> bytes:
    """Return data in gzip, as `unpack` reads it."""
    return zlib.compress(data, _FASTEST, _GZIP_WINDOW)


def unpack(data: bytes) -> bytes | Problem:
    """Return data without gzip, a byte order mark and white space around it."""
    if data.startswith(_GZIP):
        unpacked = _gunzip(data)
        if isinstance(unpacked, Problem):
            return unpacked
        data = unpacked
    return data.removeprefix(BYTE_ORDER_MARK).strip(JSON_SPACE)


def text_within(data: bytes) -> bytes:
    """Return the object or array that a JSON string holds as text, encoded as text or not; everything else as it is."""
    inner = data
    try:
        while inner.startswith(b'"'):
            inner = _texts.decode(inner).strip().encode()
    except DECODING_ERRORS:
        return data
    return inner if inner.startswith((b"{", b"[")) else data


def _gunzip(data: bytes) -> bytes | Problem:
    parts: list[bytes] = []
    room = MAX_UNPACKED_BYTES
    try:
        # A file of several members is their contents in a row (RFC 1952, section 2.2).
        while data.startswith(_GZIP):
            member = zlib.decompressobj(_GZIP_WINDOW)
            parts.append(member.decompress(data, room + 1))
            room -= len(parts[-1])
            if room < 0:
                return _unusable(f"more than {MAX_UNPACKED_BYTES} bytes in gzip'ed data")
            if not member.eof:
                return _unusable("gzip'ed data that ends too soon")
            data = member.unused_data
    except zlib.error:
        return _unusable("gzip'ed data that is damaged")
    return b"".join(parts)


def _unusable(found: str) -> Problem:
    return Problem(path="data", found=found, expected=f"gzip of at most {MAX_UNPACKED_BYTES} bytes of JSON")
