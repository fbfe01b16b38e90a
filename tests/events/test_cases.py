"""The case tables: what each event becomes. To add a case, add a line to a file in `cases/`.

A line is {"name", "event"} with, as needed, "settings" (keys of the configuration document), "source" (fields of
EventSource), "format", and one expectation: "conversion" (the whole wire object; with "dropped" and "pixel"),
"invalid" or "expired" (the problem's path; with "found" or "expected", a part of the problem's text), or "skipped"
(the reason). Expected digests are sha256sum's. "reference" is where such an event stands in public: a bug report, a
vendor's page, a peer's code or test data.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.events.sources import WIRE_FIELDS, read_alone
from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import Expired, Invalid, Skipped
from xcapi_core.problems import Problem
from xcapi_core.settings.reader import read_settings

_BASE = {
    "dead_letter_topic": "file:/dev/null",
    "pixels": {
        "o8z6j": {
            "credentials": "env:KEYS",
            "event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"},
        }
    },
}


class _Case(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    event: msgspec.Raw
    settings: dict[str, object] = {}
    source: dict[str, object] = {}
    format: str = "x"
    conversion: dict[str, object] | None = None
    dropped: list[str] = []
    pixel: str = ""
    invalid: str = ""
    expired: str = ""
    found: str = ""
    expected: str = ""
    skipped: str = ""
    reference: str = ""


@dataclass(frozen=True)
class _Result:
    """What is compared, whole: nothing that a row does not expect may be left over."""

    kind: str
    detail: object = ""
    dropped: tuple[str, ...] = ()


def _rows() -> list[object]:
    decoder = msgspec.json.Decoder(_Case, float_hook=Decimal)
    return [
        pytest.param(decoder.decode(line), id=f"{file.stem}: {json.loads(line)['name']}")
        for file in sorted((Path(__file__).parent / "cases").glob("*.jsonl"))
        for line in file.read_bytes().splitlines()
    ]


def _expected(case: _Case) -> _Result:
    if case.conversion is not None:
        return _Result("conversion", case.conversion, tuple(case.dropped))
    if case.invalid or case.expired:
        return _Result("invalid" if case.invalid else "expired", case.invalid or case.expired)
    return _Result("skipped", case.skipped)


def _actual(reading: Conversion | Invalid | Expired | Skipped) -> _Result:
    match reading:
        case Conversion(wire=wire, dropped=dropped):
            return _Result("conversion", msgspec.json.decode(wire), dropped)
        case Invalid(problem):
            return _Result("invalid", problem.path)
        case Expired(problem):
            return _Result("expired", problem.path)
        case Skipped(reason):
            return _Result("skipped", reason.value)


@pytest.mark.parametrize("case", _rows())
def test_event_becomes_what_the_table_says(case: _Case) -> None:
    settings = read_settings(json.dumps(_BASE | case.settings))
    reading = read_alone(bytes(case.event), case.format, settings, **case.source)  # type: ignore[arg-type]  # a table's text
    assert _actual(reading) == _expected(case)
    match reading:
        case Conversion(pixel_id=pixel_id, event_tag=tag, conversion_id=conversion_id, wire=wire):
            sent = msgspec.json.decode(wire)
            assert list(sent) == [key for key in WIRE_FIELDS if key in sent]
            assert (tag, conversion_id) == (sent["event_id"], sent["conversion_id"])
            assert pixel_id == case.pixel or not case.pixel
        case Invalid(Problem(found=found, expected=expected)) | Expired(Problem(found=found, expected=expected)):
            assert case.found in found
            assert case.expected in expected


def test_there_are_enough_cases() -> None:
    assert len(_rows()) >= 60
