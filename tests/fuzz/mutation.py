"""New inputs from old ones, by the structure of JSON: most changes keep a document readable, some break its bytes."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from tests.fuzz.inputs import joined, parted
from tests.fuzz.planted import PERSONAL, SECRETS

__all__ = ["ODD_VALUES", "Mutator", "Words"]

# Decoded JSON; numbers with a fraction stay as they are written, so that no digit is lost on the way.
Json: TypeAlias = Any

_decode = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode())).decode
_encode = msgspec.json.Encoder().encode

# What decoders, decimals and clocks stumble over; written as they stand.
_TOKENS = tuple(
    msgspec.Raw(token)
    for token in (
        b"1E+999999999",
        b"1e400",
        b"-1e-400",
        b"0.1e1",
        b"-0",
        b"-0.0",
        b"9" * 25,
        b"9" * 400,
        b"1" * 4301,
        b"0." + b"3" * 200,
        b'"\\ud800"',
        b'"a\\udc00b"',
        b'"\\u0000"',
        b"[" * 40 + b"]" * 40,
        b'{"a":' * 30 + b"1" + b"}" * 30,
        b"[" * 1100 + b"]" * 1100,
    )
)
ODD_VALUES: tuple[Json, ...] = (
    *_TOKENS,
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**31,
        2**63,
        10**17,
        [],
        {},
        [[]],
        "",
        " ",
        "0",
        "1",
        "-1",
        "1e9",
        "NaN",
        "Infinity",
    ),
    *(
        "null",
        "undefined",
        "(not set)",
        "[object Object]",
        "\x00",
        "\u2028",
        "\ufeff",
        "é",
        "İ",
        "ß",
        "١٢",
        "𝟙",
        "\ufffd",
    ),
    *(
        "a" * 70,
        "a" * 2000,
        "é" * 300,
        '{"a":1}',
        "%7B%22twclid%22%3A%22c%22%7D",
        "%7B%22twclid%22",
        "true",
        "false",
        "no",
    ),
    *(
        "2026-04-20T12:34:56Z",
        "2026-04-20",
        "1776688496",
        "9999-12-31T23:59:59.999999-23:59",
        "0001-01-01T00:00:00+23:59",
    ),
    *("19.99", "1,5", ".5", "5.", "+1", "EUR", "eur", "NAN", "granted", "denied", "G111", "G100", "11r1r1r1r1", "1YYN"),
    *(1776688496, 1776688496123, 1776688496123456, "203.0.113.7", "::ffff:203.0.113.7", "10.0.0.1", "0203.0.113.7"),
)
_PLANTED_VALUES: tuple[str, ...] = (*PERSONAL.values(), *SECRETS)
_PIECES = (
    "\x00",
    "\ud83d\ude00",
    " ",
    "\t",
    "+",
    "-",
    ".",
    ",",
    "@",
    "%",
    "{",
    "(",
    ")",
    '"',
    "\\",
    "\u202e",
    "é",
    "0",
    "E",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A target's dictionary: names of members, values, what its head may say; and how long its inputs may be."""

    names: Sequence[str]
    values: Sequence[Json] = ()
    head: Mapping[str, Sequence[Json]]
    plants: bool = True
    # Bytes. Most of what can go wrong fits; a longer input costs more than it finds.
    longest: int = 2_048


class Mutator:
    """Makes inputs for one target."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._values: tuple[Json, ...] = (
            *words.values,
            *words.values,
            *ODD_VALUES,
            *(_PLANTED_VALUES * 2 if words.plants else ()),
        )

    def mutate(self, data: bytes, chance: random.Random, mate: bytes = b"{}\n") -> bytes:
        """Return a changed copy of `data`; parts of `mate`, another input, may go into it."""
        head, body = parted(data)
        if self._words.head and chance.random() < 0.2:
            head = self._other_head(dict(head), chance)
        if not self._words.head or chance.random() < 0.9:
            body = self._other_body(body, chance, parted(mate)[1])
        return joined(head, body)

    def _other_head(self, head: dict[str, Json], chance: random.Random) -> dict[str, Json]:
        name = chance.choice(list(self._words.head))
        values = self._words.head[name]
        old = head.get(name)
        if isinstance(old, dict) and chance.random() < 0.7:
            # Attributes, headers: their members change one by one.
            given = chance.choice(values)
            if old and chance.random() < 0.3:
                del old[chance.choice(list(old))]
            if isinstance(given, dict):
                old |= given
            if old and chance.random() < 0.3:
                old[chance.choice(list(old))] = str(chance.choice(_PLANTED_VALUES + self._words_of(self._words.values)))
        else:
            head[name] = chance.choice(values)
        return head

    @staticmethod
    def _words_of(values: Sequence[Json]) -> tuple[str, ...]:
        return (*(value for value in values if isinstance(value, str)), "", "0", "-1", "é", "9" * 30)

    def _other_body(self, body: bytes, chance: random.Random, mate: bytes) -> bytes:
        if chance.random() < 0.12:
            return _havoc(body, chance)
        try:
            root: list[Json] = [_decode(body)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            return _havoc(body, chance)
        try:
            for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
                self._change(root, chance, mate)
            return _encode(root[0])
        except (msgspec.MsgspecError, RecursionError, ValueError):  # lone surrogates; more digits than Python writes
            return _havoc(body, chance)

    def _change(self, root: list[Json], chance: random.Random, mate: bytes) -> None:
        """Change one place of the document: `root` is a list that holds it, so that every place has a holder."""
        holder, key = _place(root, chance)
        value = holder[key]
        match chance.randrange(12):
            case 0 | 1 | 2:
                holder[key] = self._value(chance)
            case 3 | 4 | 5 if isinstance(value, dict):
                value[self._name(chance)] = self._value(chance)
            case 3 | 4 if isinstance(value, list) and len(value) < 60:
                value.insert(chance.randint(0, len(value)), self._value(chance))
            case 5 if isinstance(value, list) and 0 < len(value) < 40:
                value += value[-3:]
            case 6 if holder is not root:
                del holder[key]
            case 7:
                holder[key] = chance.choice((lambda: [value], lambda: {self._name(chance): value}))()
            case 8 if isinstance(holder, dict):
                holder[self._name(chance)] = holder.pop(key)
            case 9:
                holder[key] = _part_of(mate, chance)
            case 10 if holder is not root:
                other = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
                holder[key], holder[other] = holder[other], holder[key]
            case _:
                holder[key] = _bent(value, chance)

    def _name(self, chance: random.Random) -> str:
        if self._words.plants and chance.random() < 0.03:
            return chance.choice(_PLANTED_VALUES)
        return (
            chance.choice(self._words.names) if chance.random() < 0.95 else chance.choice(("", "a", "é", "\x00", "$"))
        )

    def _value(self, chance: random.Random) -> Json:
        value = chance.choice(self._values)
        if chance.random() < 0.15:
            return {self._name(chance): value, self._name(chance): chance.choice(self._values)}
        return [value, chance.choice(self._values)] if chance.random() < 0.1 else value


def _place(root: list[Json], chance: random.Random) -> tuple[Json, Json]:
    """Walk down to a random place; return what holds it and under which key or index."""
    holder: Json = root
    key: Json = 0
    while chance.random() < 0.75:
        inner = holder[key]
        if not (isinstance(inner, dict | list) and inner):
            break
        holder = inner
        key = chance.choice(list(inner)) if isinstance(inner, dict) else chance.randrange(len(inner))
    return holder, key


def _part_of(mate: bytes, chance: random.Random) -> Json:
    try:
        holder, key = _place([_decode(mate)], chance)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return mate[:200].decode("latin-1")
    return holder[key]


def _bent(value: Json, chance: random.Random) -> Json:
    """Return a value near the given one, maybe of another type."""
    if isinstance(value, str):
        at = chance.randint(0, len(value))
        bends: tuple[Callable[[], Json], ...] = (
            lambda: value[:at],
            lambda: value[at:],
            lambda: value[:at] + chance.choice(_PIECES) + value[at:],
            value.swapcase,
            lambda: f" {value}\t",
            lambda: value * 3,
            lambda: int(value) if value.isascii() and value.isdigit() and len(value) < 40 else value,
            lambda: value + "é",
        )
        return chance.choice(bends)()
    if isinstance(value, bool) or value is None:
        return chance.choice((True, False, 0, 1, "true", "false", None))
    if isinstance(value, int):
        return chance.choice((value + 1, -value, value * 1000, value // 1000, str(value), msgspec.Raw(b"%d.5" % value)))
    if isinstance(value, msgspec.Raw):
        text = bytes(value)
        return chance.choice((msgspec.Raw(b"-" + text) if text[:1] != b"-" else value, text.decode(), 1))
    return value


def _havoc(body: bytes, chance: random.Random) -> bytes:
    """Break bytes: what a decoder sees of a wrong encoding, a truncated body, somebody else's format."""
    raw = bytearray(body)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randint(0, len(raw))
        match chance.randrange(6):
            case 0:
                raw[at : at + chance.randint(1, 8)] = b""
            case 1:
                raw[at:at] = chance.choice(
                    (b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x00", b"\xff", b"\xc3", b"\xef\xbb\xbf")
                )
            case 2 if raw:
                raw[at - 1] ^= 1 << chance.randrange(8)
            case 3:
                raw[at:] = b""
            case 4:
                end = at + chance.randint(1, 30)
                raw[at:at] = raw[at:end]
            case _:
                raw[at : at + 1] = bytes((chance.randrange(256),))
    return bytes(raw)
