"""What is wrong with an input: where, what was found, what was expected. Shared by configuration and events."""

import msgspec

__all__ = ["Problem"]


class Problem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing wrong with an input, said so that its author can mend it.

    `path` names the place ("pixels.o8z6j.credentials", "contents[2].content_price"); `found` describes what
    stands there by kind ("a list", "text that is no number") and, in events, never quotes the value, which may
    be personal; `expected` is what should stand there.
    """

    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}: found {self.found}, expected {self.expected}"
