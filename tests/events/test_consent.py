"""Consent: the table of every source's spellings, and the three policies."""

import ast
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xcapi_core.events.consent
from xcapi_core.events.consent import Consent, judge_consent, may_send, says_nothing


class _Case(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    says: str
    event: object
    categories: list[str] = []


def _rows() -> list[object]:
    decoder = msgspec.json.Decoder(_Case, float_hook=Decimal)
    lines = (Path(__file__).parent / "consent_cases.jsonl").read_text().splitlines()
    return [pytest.param(decoder.decode(line), id=line) for line in lines]


@pytest.mark.parametrize("case", _rows())
def test_event_says_what_the_table_says(case: _Case) -> None:
    assert judge_consent(case.event, categories=case.categories) is Consent(case.says)


@pytest.mark.parametrize(
    ("policy", "sent"),
    [
        ("respect", {"yes", "unsaid"}),
        ("require", {"yes"}),
        ("ignore", {"yes", "unsaid", "no"}),
    ],
)
def test_policy_decides_what_is_sent(policy: Literal["respect", "require", "ignore"], sent: set[str]) -> None:
    events: dict[str, object] = {"yes": {"consent": True}, "unsaid": {}, "no": {"consent": False}}
    assert {said for said, event in events.items() if may_send(event, policy=policy, categories=())} == sent


@pytest.mark.parametrize("unusable", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), float("nan"), object()])
def test_numbers_that_are_none_are_a_no(unusable: object) -> None:
    for field in ("consent", "opt_out", "gcs", "gcd", "us_privacy", "privacy_info"):
        assert judge_consent({field: unusable}, categories=()) is Consent.NO


# Every word of the module: a place that is added there is tried here without a further word.
_WORDS = sorted(
    {
        node.value
        for node in ast.walk(ast.parse(Path(xcapi_core.events.consent.__file__).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isprintable()
        if len(node.value) < 40
    }
)
_NO = st.sampled_from([False, "denied", {"ad_storage": "denied"}, "G100", "1YY", 1])
_INSIDE = st.recursive(
    _NO,
    lambda inner: (
        st.dictionaries(st.sampled_from(_WORDS), inner, min_size=1, max_size=2)
        | st.lists(inner, min_size=1, max_size=2)
        | st.builds(lambda key, value: [{"key": key, "value": {"string_value": value}}], st.sampled_from(_WORDS), _NO)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("word", _WORDS)
@given(inside=_INSIDE)
def test_an_event_in_which_nothing_speaks_is_told_by_its_keys(word: str, inside: object) -> None:
    event = {"event": "purchase", word: inside}
    if says_nothing(event):
        assert judge_consent(event, categories=("Advertising",)) is Consent.UNSAID


@pytest.mark.parametrize("case", _rows())
def test_no_row_of_the_table_that_speaks_says_nothing(case: _Case) -> None:
    assert not says_nothing(case.event) or Consent(case.says) is Consent.UNSAID
