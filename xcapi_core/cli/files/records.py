"""What reading a file yields, and how it says that it cannot."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

__all__ = ["LONGEST_MESSAGE", "NO_EVENT", "Chunk", "InputError", "at_least_one"]

# What a Pub/Sub message may hold; no event is larger.
LONGEST_MESSAGE: Final = 10_000_000
NO_EVENT: Final = "nothing in it: no event"
_Item = TypeVar("_Item")


class InputError(Exception):
    """A file cannot be read on, and why; its text quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What would be one message: a line, a row, a document or a message in a file. `problem` says why it cannot be one.

    `line` is where it begins, as an editor counts; `position` what `--from-line` counts: the line, of a table the row
    without its header, of an array the (first) element, each from 1. `first_index` is the place of a piece of a large
    array in that array. `is_message` tells a message in a file (a dead letter, a push envelope) from an event; the last
    three are its own.
    """

    line: int
    data: bytes = field(default=b"", repr=False)
    problem: str = ""
    position: int = field(default=0, compare=False)
    unit: Literal["line", "row", "element"] = field(default="line", compare=False)
    first_index: int = 0
    is_message: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    message_id: str = ""
    publish_time: str = ""


def at_least_one(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield what a file holds; raise InputError at its end if that was nothing, as where all lists in it are empty."""
    found = False
    for item in items:
        found = True
        yield item
    if not found:
        raise InputError(NO_EVENT)
