"""Text of others is shown without what would do something to a terminal."""

import pytest

from xcapi_core.cli.foreign_text import printable


@pytest.mark.parametrize(
    "harmful", ["\x00", "\x07", "\n", "\r", "\x1b", "\x7f", "\x9b", "\u2028", "\u200f", "\u202e", "\u2066", "\ud800"]
)
def test_what_steers_is_replaced_one_by_one(harmful: str) -> None:
    assert printable(f"a{harmful}b{harmful}") == "a\ufffdb\ufffd"


@pytest.mark.parametrize("harmless", ["Grüße, 東京 שלום", "price\u00a0€ 5", "👩\u200d💻", "a\u0301"])
def test_what_people_write_stays(harmless: str) -> None:
    assert printable(harmless) == harmless
