"""Text that others wrote, fit to be shown: what of it steers a terminal, and what of it is somebody's. Pure."""

import re
from typing import Final

__all__ = ["ADDRESS", "LONG_HEX", "SHA256", "printable"]

# Each pattern may only begin where a word does: that keeps a search linear in the text's length.
ADDRESS: Final = r"(?<![\w.+%-])[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*"
SHA256: Final = r"(?<![0-9A-Za-z])[0-9a-fA-F]{64}(?![0-9A-Za-z])"
# Digests and secrets of any kind, and the ids that look alike.
LONG_HEX: Final = r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,}(?![0-9A-Za-z])"
# C0 and C1 controls, which terminals obey, what breaks a line or turns the direction of writing, and surrogates, which
# no output can encode.
_STEERING: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return the text with U+FFFD in place of each character that would do something to a terminal."""
    return _STEERING.sub("\ufffd", text)
