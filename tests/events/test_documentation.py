"""What docs/event-format-x.md and docs/events.md show is what the code does; their tables are whole."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.events.samples import SHAPES
from tests.events.sources import event_source
from xcapi_core.conversions import Conversion
from xcapi_core.events import read_event
from xcapi_core.events.drops import Drop
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.events.tags import SYNONYMS
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import PixelSettings, Settings

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "event-format-x.md").read_text()
_SOURCES = (_DOCS / "events.md").read_text()
_RECIPE = re.compile(r"```json message (\w+)\n(.*?)```\s+```json conversion\n(.*?)```", re.DOTALL)
_EXAMPLE = re.compile(r"```json event\n(.*?)```\s+```json conversion\n(.*?)```", re.DOTALL)
_SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={
        "o8z6j": PixelSettings(
            pixel_id="o8z6j",
            credentials="env:KEYS",
            event_ids={"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"},
        )
    },
)


def test_examples_become_what_the_page_says() -> None:
    examples = _EXAMPLE.findall(_PAGE)
    assert len(examples) == _PAGE.count("```json") / 2 > 1
    for event, conversion in examples:
        decoded = msgspec.json.Decoder(float_hook=Decimal).decode(event)
        reading = read_event(decoded, event_source(publish_time="2026-04-20T12:35:00+00:00"), _SETTINGS, "x")
        assert isinstance(reading, Conversion)
        assert reading.dropped == ()
        assert msgspec.json.decode(reading.wire) == msgspec.json.decode(conversion)


def test_page_names_every_code_of_what_is_dropped_and_no_other() -> None:
    section = _PAGE.partition("## What is dropped")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    codes = [code for row in rows for code in re.findall(r"`(\w+)`", row)]
    assert sorted(codes) == sorted(drop.value for drop in Drop)


def _recipes() -> list[tuple[str, Any, Any]]:
    found = _RECIPE.findall(_SOURCES)
    assert len(found) == _SOURCES.count("```json") / 2 > 5
    return [(format_, msgspec.json.decode(event), msgspec.json.decode(wire)) for format_, event, wire in found]


def test_each_recipe_s_message_is_a_row_of_the_case_tables() -> None:
    file = Path(__file__).parent / "cases" / "recipes.jsonl"
    rows = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
    assert [(row["format"], row["event"], row["conversion"]) for row in rows] == _recipes()


@pytest.mark.parametrize("attributes", [{}, {"format": ""}])
def test_each_recipe_s_message_is_told_by_its_shape(attributes: dict[str, str]) -> None:
    for format_, event, wire in _recipes():
        message = PubsubMessage(
            message_id="1",
            publish_time="2026-04-20T12:00:00Z",
            data=msgspec.json.encode(event),
            attributes=attributes or {"format": format_},
            subscription="",
            ordering_key="",
            delivery_attempt=None,
        )
        (read,) = read_events(message, _SETTINGS, received_at=datetime(2026, 4, 20, tzinfo=UTC), settled=frozenset())
        assert isinstance(read, ReadEvent)
        assert read.format == format_
        assert isinstance(read.result, Conversion)
        assert msgspec.json.decode(read.result.wire) == wire


def test_table_of_names_is_the_code_s() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \|([^|]*)\|([^|]*)\|$", _SOURCES.partition("## Consent")[0])
    shown: dict[str, dict[str, str]] = {"ga4": {}, "segment": {}}
    for key, ga4, segment in rows:
        for dialect, cell in (("ga4", ga4), ("segment", segment)):
            for name in re.split(r",\s*", cell.strip()):
                if name and name != "a `page` call":
                    shown[dialect][name.strip("`").lower().replace(" ", "_")] = key
    assert shown == {dialect: dict(SYNONYMS[dialect]) for dialect in shown}


def _paths(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _paths(child, f"{path}.{key}" if path else key)
    elif path == "events" and isinstance(value, list):
        for inner in value:
            yield from _paths({name: child for name, child in inner.items() if name != "name"})
    elif path:
        yield path


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "X"])
def test_every_field_of_a_sample_stands_in_the_coverage_tables(shape: str) -> None:
    documented = set(re.findall(r"`([^`]+)`", _SOURCES.partition("## Coverage")[2]))
    documented |= {name.replace("[]", "") for name in documented}
    for path in _paths(SHAPES[shape][1](1)):
        steps = path.split(".")
        names = {".".join(steps[:end]) for end in range(1, len(steps) + 1)} | {f"params.{path}"}
        known = names & documented or path.startswith(("x-ga-", "x-sst-")) or path.endswith("_in_usd")
        assert known, path


def test_python_of_the_recipes_is_python() -> None:
    snippets = re.findall(r"```python\n(.*?)```", _SOURCES, re.DOTALL)
    assert len(snippets) > 2
    for snippet in snippets:
        ast.parse(snippet)
