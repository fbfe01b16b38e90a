"""The examples of docs/event-format-x.md become what the page says; its tables name every code and no other."""

import re
from decimal import Decimal
from pathlib import Path

import msgspec

from tests.events.sources import event_source
from xcapi_core.conversions import Conversion
from xcapi_core.drops import Drop
from xcapi_core.events import read_event
from xcapi_core.settings import PixelSettings, Settings

_PAGE = (Path(__file__).parents[2] / "docs" / "event-format-x.md").read_text()
_EXAMPLE = re.compile(r"```json event\n(.*?)```\s+```json conversion\n(.*?)```", re.DOTALL)
_SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={"o8z6j": PixelSettings(pixel_id="o8z6j", credentials="env:KEYS", event_ids={"purchase": "tw-o8z6j-o8z21"})},
)


def test_examples_become_what_the_page_says() -> None:
    examples = _EXAMPLE.findall(_PAGE)
    assert len(examples) == _PAGE.count("```json") / 2 > 1
    for event, conversion in examples:
        reading = read_event(msgspec.json.Decoder(float_hook=Decimal).decode(event), event_source(), _SETTINGS, "x")
        assert isinstance(reading, Conversion)
        assert reading.dropped == ()
        assert msgspec.json.decode(reading.wire) == msgspec.json.decode(conversion)


def test_page_names_every_code_of_what_is_dropped_and_no_other() -> None:
    section = _PAGE.partition("## What is dropped")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    codes = [code for row in rows for code in re.findall(r"`(\w+)`", row)]
    assert sorted(codes) == sorted(drop.value for drop in Drop)
