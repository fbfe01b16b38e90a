"""Consent: the table of every source's spellings, and the three policies."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from xcapi_core.consent import Consent, judge_consent, may_send


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
