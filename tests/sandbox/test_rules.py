import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.client import conversion
from xcapi_core.sandbox.config import DEMO_PIXELS
from xcapi_core.sandbox.rules import judge, short_tag

CASES = json.loads((Path(__file__).parent / "conversion_cases.json").read_text(encoding="utf-8"))
PIXEL = DEMO_PIXELS[0]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_conversion_is_judged_as_x_judges_it(case: dict[str, Any]) -> None:
    changes = {**case.get("set", {}), **dict.fromkeys(case.get("unset", []))}
    finding = judge(conversion(**changes), PIXEL, any_tag=case.get("any_tag", False), named=case.get("named", True))
    found = [[error.code, error.message, error.parameter] for error in finding.errors]
    assert found == case.get("errors", [])
    if not found:
        expected = case.get("warn", [])
        assert len(finding.warnings) == len(expected), finding.warnings
        for words, warning in zip(expected, finding.warnings, strict=True):
            assert words in warning


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    ["conversion_time", "event_id", "identifiers", "value", "price_currency", "number_items", "contents", "description"]
)


@given(JSON | st.dictionaries(FIELDS, JSON))
def test_nothing_that_json_can_say_breaks_the_judge(raw: object) -> None:
    finding = judge(raw, PIXEL, any_tag=False, named=True)
    assert all(error.code in {"INVALID_PARAMETER", "NOT_FOUND"} for error in finding.errors)
    json.dumps([error.as_json() for error in finding.errors]).encode()


def test_a_long_value_is_quoted_only_so_far() -> None:
    (error, _) = judge(conversion(event_id="x" * 100_000), PIXEL, any_tag=False, named=True).errors
    assert len(error.message) < 300


@pytest.mark.parametrize(
    ("event_tag", "expected"), [("o8z21", "o8z21"), ("tw-o8z6j-o8z21", "o8z21"), ("tw-p9q7k-o8z21", "tw-p9q7k-o8z21")]
)
def test_both_spellings_name_one_tag(event_tag: str, expected: str) -> None:
    assert short_tag(event_tag, "o8z6j") == expected
