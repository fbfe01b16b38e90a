"""What is fuzzed: a module a target, each with its seeds, its dictionary and its oracles."""

from collections.abc import Hashable, Mapping
from typing import Protocol

from tests.fuzz.logged import LogTap
from tests.fuzz.mutation import Words
from tests.fuzz.targets.answers import Answers
from tests.fuzz.targets.configuration import Configuration
from tests.fuzz.targets.deliveries import Deliveries
from tests.fuzz.targets.events import Events
from tests.fuzz.targets.secrets import Secrets

__all__ = ["TARGETS", "Target"]


class Target(Protocol):
    """One entry point of the function, and what must hold behind it."""

    name: str
    words: Words

    def seeds(self) -> list[bytes]:
        """Return inputs to start from, made of the tests' case tables."""
        ...

    def run(self, data: bytes, log: LogTap) -> Hashable:
        """Take one input and return what became of it, in a word or a few: a new one makes the input worth keeping.

        Raises whatever goes wrong; an AssertionError where an oracle says so.
        """
        ...


TARGETS: Mapping[str, type[Target]] = {
    target.name: target for target in (Deliveries, Events, Configuration, Answers, Secrets)
}
