"""Consent: the table of every source's spellings and shapes, the three policies, and that no refusal is ever missed."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.events.refusals import REFUSING_EVENTS
from xcapi_core.events import consent_signals
from xcapi_core.events.consent import Consent, Judgement, judge, may_send
from xcapi_core.events.consent_objects import SIGNALS
from xcapi_core.events.consent_signals import is_silent

_Object = dict[str, Any]
_CATEGORIES = ("Advertising",)


class _Case(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    says: str
    event: object
    categories: list[str] = []
    codes: list[str] | None = None
    source: str = ""


def _lines() -> list[str]:
    return (Path(__file__).parent / "consent_cases.jsonl").read_text().splitlines()


def _rows() -> list[object]:
    decoder = msgspec.json.Decoder(_Case, float_hook=Decimal)
    return [pytest.param(decoder.decode(line), id=line) for line in _lines()]


@pytest.mark.parametrize("case", _rows())
def test_event_says_what_the_table_says(case: _Case) -> None:
    judgement = judge(case.event, categories=case.categories)
    assert judgement.says is Consent(case.says)
    assert case.codes is None or list(judgement.codes) == case.codes


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
def test_numbers_that_are_none_are_a_no_but_in_codes_that_google_and_the_iab_defined(unusable: object) -> None:
    for field in ("consent", "ad_storage", "opt_out", "adTrackingEnabled", "privacy_info"):
        assert judge({field: unusable}, categories=()).says is Consent.NO
    for field in ("gcs", "gcd", "us_privacy"):
        assert judge({field: unusable}, categories=()).says is Consent.UNSAID


@pytest.mark.parametrize(
    ("event", "envelope", "says"),
    [
        ({"consent": True}, {"consent": {"ad_storage": "denied"}}, Consent.NO),
        ({"consent": {"ad_storage": "denied"}}, {"consent": True}, Consent.NO),
        ({}, {"consent": True}, Consent.YES),
        ({"name": "purchase"}, {"client_id": "1.2"}, Consent.UNSAID),
    ],
)
def test_envelope_and_event_are_judged_together(event: _Object, envelope: _Object, says: Consent) -> None:
    assert judge(event, envelope, categories=()).says is says


@given(event=REFUSING_EVENTS)
def test_refusal_in_any_spelling_shape_and_place_wins_over_whatever_else_is_there(event: _Object) -> None:
    data = json.dumps(event).encode()
    decoded = msgspec.json.Decoder(float_hook=Decimal).decode(data)
    assert judge(decoded, categories=_CATEGORIES).says is Consent.NO
    assert judge({"event": "purchase"}, decoded, categories=_CATEGORIES).says is Consent.NO


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("between", ["", "_", "-", " ", "\u200b", "\ufeff", "\u00ad", "\n"])
def test_every_name_is_known_by_its_letters(name: str, between: str) -> None:
    for text in (name[:2] + between + name[2:], (name[:2] + between + name[2:]).upper()):
        # Nothing reads this, and each signal says so, or reads the refusal in it.
        assert judge({text: "G1YpY-p"}, categories=_CATEGORIES) != judge({}, categories=_CATEGORIES) or name == "gcs"


@pytest.mark.parametrize(("said", "says"), [("granted", Consent.YES), ("denied", Consent.NO)])
def test_row_that_names_its_key_twice_says_its_value_of_both(said: str, says: Consent) -> None:
    row = f'{{"key": "x", "key": "ad_storage", "value": "{said}"}}'
    event = f'{{"event_params": [{row}]}}'
    assert judge(json.loads(event), categories=(), event_bytes=event.encode()) == Judgement(says)


def test_bytes_that_cannot_be_read_again_where_a_name_may_stand_twice_are_a_no() -> None:
    judgement = judge({"ad_storage": 1}, categories=(), event_bytes=b'{"ad_storage": 1, "ad_storage": ')
    assert judgement == Judgement(Consent.NO, ("unreadable_consent",))


_ORDINARY = '{"event": "purchase", "user": {"email": "jane@example.com"}, "properties": {"traits": {"plan": "a"}}}'


@pytest.mark.parametrize(
    ("event", "silent"),
    [
        ("{}", True),
        ('{"event": "purchase", "value": 1}', True),
        (_ORDINARY, True),
        (_ORDINARY.replace("jane", "\\\\"), True),
        (_ORDINARY.replace("jane", "\\u0061"), False),
        (_ORDINARY.replace('"event"', '"gpc"'), False),
        (_ORDINARY.replace('"email"', '"opt_out"'), False),
        (_ORDINARY.replace('"plan"', '"us_privacy"'), False),
        (_ORDINARY.replace('"purchase"', '"user"'), False),  # which might be its name once more
        (_ORDINARY.replace('"purchase", ', '"purchase", "user": {"opt_out": true}, '), False),
        ('{"user": [{"opt_out": true}]}', False),
        ('{"user": null}', False),
        (json.dumps({str(number): {} for number in range(49)}), True),
        (json.dumps({str(number): {} for number in range(50)}), False),  # each costs a look through all bytes
        (f" {_ORDINARY}", False),
        ("[]", False),
        ('"purchase"', False),
    ],
)
def test_only_an_event_that_surely_says_nothing_is_silent(event: str, *, silent: bool) -> None:
    assert is_silent(json.loads(event), event.encode()) is silent


def test_event_is_not_silent_where_a_place_is_not_found_in_its_bytes() -> None:
    assert not is_silent({"user": {}}, b'{"else": {}}')


@given(event=REFUSING_EVENTS)
def test_no_event_with_a_refusal_is_silent(event: _Object) -> None:
    data = json.dumps(event).encode()
    assert not is_silent(msgspec.json.decode(data), data)


def test_sets_of_names_are_remembered_within_limits() -> None:
    known = consent_signals._plans
    known.clear()
    longest = "x" * 3_991  # 4,000 characters beside "consent", a separator each
    for name in (longest, f"{longest}x"):
        assert judge({"consent": False, name: 1}, categories=()).says is Consent.NO
    assert list(known) == [("consent", longest)]
    for number in range(511):
        judge({f"name{number}": 1}, categories=())
    assert len(known) == 512
    judge({"one_more": 1}, categories=())
    assert list(known) == [("one_more",)]


_JSON: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from([*SIGNALS, "user", "events", "key", "0"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(event=_JSON, policy=st.sampled_from(["respect", "require", "ignore"]))
def test_nothing_is_raised_for_any_event(event: object, policy: Literal["respect", "require", "ignore"]) -> None:
    assert may_send(event, policy=policy, categories=_CATEGORIES) in {True, False}
