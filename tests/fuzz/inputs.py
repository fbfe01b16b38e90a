"""What the fuzzer throws: bytes in two parts, and where they are kept.

The first line is a JSON object, the head: the circumstances (settings, attributes, X's mood), each target's own. What
follows is the body: the bytes under test. A corpus is one file a target, so that it can be read in a diff: a JSON text
a line, which spells each byte as the character of the same number.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

__all__ = ["chosen", "joined", "load_corpus", "parted", "save_corpus", "texts"]

CORPUS = Path(__file__).parent / "corpus"

_Value = TypeVar("_Value")


def parted(data: bytes) -> tuple[Mapping[str, object], bytes]:
    """Return head and body; a head that is no JSON object is an empty one."""
    line, _, body = data.partition(b"\n")
    try:
        head: object = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        head = {}
    return (head if isinstance(head, dict) else {}), body


def joined(head: Mapping[str, object], body: bytes) -> bytes:
    """Return the input of these parts."""
    return msgspec.json.encode(head) + b"\n" + body


def chosen(head: Mapping[str, object], name: str, values: Sequence[_Value]) -> _Value:
    """Return the head's value of that name where it is one of `values`, else the first of them."""
    if name not in head:
        return values[0]
    given = head[name]
    return next((value for value in values if value == given and type(value) is type(given)), values[0])


def texts(head: Mapping[str, object], name: str) -> dict[str, str]:
    """Return the texts of an object in the head, by name."""
    given = head.get(name)
    return {key: text for key, text in given.items() if isinstance(text, str)} if isinstance(given, dict) else {}


def load_corpus(target: str) -> list[bytes]:
    """Return the inputs that are kept for a target."""
    file = CORPUS / f"{target}.jsonl"
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    return [json.loads(line).encode("latin-1") for line in lines]


def save_corpus(target: str, inputs: Iterable[bytes]) -> None:
    """Keep these inputs, in a fixed order."""
    lines = sorted(json.dumps(data.decode("latin-1")) for data in inputs)
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
