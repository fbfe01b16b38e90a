"""Consent: the table of every source's spellings and shapes, the three policies, and that no refusal is ever missed."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.events.consent import Consent, judge, may_send
from xcapi_core.events.consent_signals import SIGNAL_NAMES

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


# From here on: a refusal, in any spelling, in any shape, in any place.


def _spelling(name: str) -> st.SearchStrategy[str]:
    """Return the ways in which a name may be written: its words joined or not, in any case."""
    words = name.split("_")
    joined = st.sampled_from(
        ["_".join(words), "-".join(words), "".join(words), words[0] + "".join(map(str.title, words[1:]))]
    )
    return joined.flatmap(
        lambda text: st.sampled_from([text, text.upper(), text.title(), text.swapcase(), f"_{text}", f"{text}-"])
    )


_DENIALS = st.sampled_from(
    [False, "denied", "Denied", "DENIED", " denied ", "false", "no", 0, "0", "", "maybe", [], {}, 2]
)
_YES = st.sampled_from(
    [True, "true", "TRUE", "yes", "y", "t", 1, "1", " Yes ", "maybe", "undefined", 7, [], [True], {}]
)
_NOS = st.sampled_from([False, "false", "no", "n", "f", 0, "0", "FALSE"])


def _field(name: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[_Object]:
    return st.builds(lambda spelled, value: {spelled: value}, _spelling(name), values)


def _ids(ids: list[str]) -> st.SearchStrategy[object]:
    """Return the shapes of a list: itself, an object with digits for keys, and each as JSON text."""
    as_object = {str(number): item for number, item in enumerate(ids)}
    return st.sampled_from([ids, as_object, json.dumps(ids), json.dumps(as_object), dict.fromkeys(ids, "Ads")])


_CONSENT_MODE = _field("ad_storage", _DENIALS) | _field("ad_user_data", _DENIALS)
_REFUSALS = st.one_of(
    _field("consent", _DENIALS),
    _field("consent_state", _DENIALS),
    _field("consent", _CONSENT_MODE),
    _field("consent_state", _CONSENT_MODE.map(lambda types: {"ad_storage": "granted"} | types)),
    _field("consent", _CONSENT_MODE.map(json.dumps)),
    _CONSENT_MODE,
    *(
        _field(name, _YES)
        for name in ("opt_out", "limit_ad_tracking", "gpc", "non_personalized_ads", "is_limited_ad_tracking")
    ),
    _field("ad_tracking_enabled", _NOS),
    _field("gcs", st.sampled_from(["G100", "g101", " G100 ", "G10-"])),
    _field("x-ga-gcs", st.just("G100")),
    _field("gcd", st.sampled_from(["11p1t1t1t5", "13t3t3q3t5", "13m3l3l3l1", "13t3t3u3t5"])),
    _field("us_privacy", st.sampled_from(["1YYN", "1nyn", "1-Y-"])),
    _field("privacy_info", st.sampled_from(["No", "no", False]).flatmap(lambda no: _field("ads_storage", st.just(no)))),
    _field(
        "consent",
        _field(
            "category_preferences", st.sampled_from([{"Advertising": False}, {"advertising": "denied"}, "", [], {}])
        ),
    ),
    _field(
        "consent_management",
        _ids(["Analytics", "Advertising"]).flatmap(lambda ids: _field("denied_consent_ids", st.just(ids))),
    ),
    _field("consent_management", st.just({"allowedConsentIds": [], "deniedConsentIds": []})),
)
_GRANTS = st.lists(
    st.sampled_from(
        [
            {"consent": True},
            {"consent_state": {"ad_storage": True, "ad_user_data": True}},
            {"ad_storage": "granted"},
            {"gcs": "G111"},
            {"gcd": "11t1t1t1t5"},
            {"opt_out": False},
            {"user": {"consent": "granted"}},
            {"context": {"consent": {"categoryPreferences": {"Advertising": True}}}},
            {"privacy_info": {"ads_storage": "Yes"}},
            {"email": "jane@example.com", "order_id": "A1"},
        ]
    ),
    max_size=4,
)


def _placed(refusal: _Object) -> st.SearchStrategy[_Object]:
    """Return events that hold the refusal in the places and shapes that the contract names."""

    def shapes(part: object) -> list[object]:
        return [part, [part], {"0": part}, json.dumps(part), json.dumps([part]), json.dumps(json.dumps(part))]

    def rows(part: _Object) -> list[object]:
        typed = [
            {"key": key, "value": {"string_value": value if isinstance(value, str) else json.dumps(value)}}
            for key, value in part.items()
            if value not in ([], {}, "", [True])  # in a column of text these are other values
        ]
        return [typed, {str(number): row for number, row in enumerate(typed)}] if typed else [part]

    inner = st.sampled_from(["user", "user_data", "params", "properties", "traits", "context", "device", "userData"])
    one_deep = st.builds(lambda name, shape: {name: shape}, inner, st.sampled_from(shapes(refusal))) | st.sampled_from(
        rows(refusal)
    ).map(lambda part: {"event_params": part})
    two_deep = st.builds(
        lambda name, event: {name: event},
        st.sampled_from(["context", "events", "batch", "conversions", "params"]),
        one_deep.flatmap(lambda event: st.sampled_from(shapes(event))),
    )
    return st.just(refusal) | one_deep | two_deep


def _merged(parts: list[Any]) -> _Object:
    """Put parts into one event; where two have a name in common, under another spelling of it."""
    event: _Object = {}
    for part in parts:
        for name, value in part.items():
            spelled = name
            while spelled in event:
                spelled = f"{spelled}_"
            event[spelled] = value
    return event


_REFUSING_EVENTS = st.tuples(_REFUSALS.flatmap(_placed), _GRANTS).flatmap(
    lambda drawn: st.permutations([drawn[0], *drawn[1]]).map(_merged)
)


@given(event=_REFUSING_EVENTS)
def test_refusal_in_any_spelling_shape_and_place_wins_over_whatever_else_is_there(event: _Object) -> None:
    data = json.dumps(event).encode()
    decoded = msgspec.json.Decoder(float_hook=Decimal).decode(data)
    assert judge(decoded, categories=_CATEGORIES).says is Consent.NO
    assert judge({"event": "purchase"}, decoded, categories=_CATEGORIES).says is Consent.NO


@pytest.mark.parametrize("name", SIGNAL_NAMES)
@pytest.mark.parametrize("between", ["", "_", "-", " ", "\u200b", "\ufeff", "\u00ad", "\n"])
def test_every_name_is_known_by_its_letters(name: str, between: str) -> None:
    for text in (name[:2] + between + name[2:], (name[:2] + between + name[2:]).upper()):
        # Nothing reads this, and each signal says so, or reads the refusal in it.
        assert judge({text: "G1YpY-p"}, categories=_CATEGORIES) != judge({}, categories=_CATEGORIES) or name == "gcs"


_JSON: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from([*SIGNAL_NAMES, "user", "events", "key", "0"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(event=_JSON, policy=st.sampled_from(["respect", "require", "ignore"]))
def test_nothing_is_raised_for_any_event(event: object, policy: Literal["respect", "require", "ignore"]) -> None:
    assert may_send(event, policy=policy, categories=_CATEGORIES) in {True, False}
