from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.client import conversion
from xcapi_core.sandbox.fault_reader import read_faults
from xcapi_core.sandbox.faults import Fault, FaultPlan, Refusal, fault_answer
from xcapi_core.sandbox.rate import Allowance


def plan(*described: dict[str, Any], draws: list[float] | None = None) -> FaultPlan:
    faults, problems = read_faults(list(described))
    assert not problems
    rolls = iter(draws or [])
    made = FaultPlan(lambda: next(rolls))
    made.add(faults)
    return made


def test_fault_wears_off_after_so_many_times() -> None:
    faults = plan({"status": 503, "times": 2})
    statuses = [fault.status if (fault := faults.choose("o8z6j")[0]) else None for _ in range(3)]
    assert statuses == [503, 503, None]
    assert faults.as_json() == [{"status": 503, "times": 2, "fired": 2, "active": False}]


def test_fault_hits_its_share_of_requests() -> None:
    faults = plan({"status": 503, "rate": 0.5}, draws=[0.49, 0.5, 0.99])
    assert [faults.choose("o8z6j")[0] is not None for _ in range(3)] == [True, False, False]


def test_fault_hits_only_its_pixel() -> None:
    faults = plan({"status": 503, "pixel_id": "p9q7k"})
    assert faults.choose("o8z6j")[0] is None
    assert faults.choose("p9q7k")[0] is not None


def test_latencies_add_up_and_let_another_fault_happen() -> None:
    fault, latency_s = plan({"latency_s": 0.2}, {"status": 500}, {"latency_s": 0.3}).choose("o8z6j")
    assert fault is not None
    assert fault.status == 500
    assert latency_s == pytest.approx(0.5)


def test_first_fault_that_fires_wins() -> None:
    faults = plan({"status": 500, "times": 1}, {"drop": True})
    first, second = faults.choose("o8z6j")[0], faults.choose("o8z6j")[0]
    assert first is not None
    assert second is not None
    assert (first.status, second.drop) == (500, "before")


def test_refusal_picks_conversions_by_id_by_field_and_by_identifier() -> None:
    batch: list[object] = [
        conversion(conversion_id="a"),
        conversion(conversion_id="b", description="poison"),
        conversion(conversion_id="c", identifiers=[{"twclid": "poisoned-click"}]),
        "no object",
    ]
    by_id = plan({"refuse": {"conversion_id": "a"}})
    by_field = plan({"refuse": {"field": "description", "equals": "poison"}})
    by_identifier = plan({"refuse": {"field": "twclid", "contains": "poisoned"}})
    assert [sorted(p.refusals("o8z6j", batch)) for p in (by_id, by_field, by_identifier)] == [[0], [1], [2]]


def test_refusal_names_the_value_only_when_told_to() -> None:
    silent = Refusal(field="conversion_id", equals="a").error_for(conversion(conversion_id="a"))
    named = Refusal(field="conversion_id", equals="a", named=True).error_for(conversion(conversion_id="a"))
    assert silent is not None
    assert named is not None
    assert (silent.message, silent.parameter) == ("Invalid conversion", "")
    assert (named.message, named.parameter) == ("conversion_id (a) is not valid", "conversion_id")


def test_share_of_refused_conversions_is_always_the_same_ones() -> None:
    faults = plan({"refuse": {"all": True}, "rate": 0.1})
    batch: list[object] = [conversion(conversion_id=f"order-{index}") for index in range(1000)]
    refused = set(faults.refusals("o8z6j", batch))
    assert 50 < len(refused) < 150
    assert set(faults.refusals("o8z6j", batch[::-1])) == {999 - index for index in refused}


def test_announced_times_are_rounded_up_to_whole_seconds() -> None:
    fault = Fault(status=429, reset_in_s=1.2, retry_after_s=0.4)
    headers = fault_answer(fault, Allowance(60000, 59000, 900), "a", now=100.0).headers
    assert headers["x-account-rate-limit-remaining"] == headers["x-rate-limit-remaining"] == "0"
    assert headers["x-account-rate-limit-reset"] == "102"
    assert headers["retry-after"] == "1"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 415, 423, 429, 500, 503])
def test_injected_status_speaks_in_x_s_form(status: int) -> None:
    answer = fault_answer(Fault(status=status), None, "18ce552mlaq", now=0.0)
    assert answer.status == status
    assert answer.body.startswith(b'{"errors":[{"code":"')
    assert answer.error_codes


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ("503", "found a string"),
        ({}, "fault: found nothing to do"),
        ({"times": 1, "rate": 0.5}, "nothing to do"),
        ({"status": 99}, "fault.status: found the number 99, expected an HTTP status"),
        ({"status": True}, "fault.status: found true"),
        ({"status": "503"}, "fault.status: found a string"),
        ({"rate": 1.1}, "a share, 0 to 1"),
        ({"times": -1}, "fault.times"),
        ({"latency_s": 1e9}, "seconds, 0 to 3600"),
        ({"drop": "sometimes"}, '"before" or "after"'),
        ({"headers": {"x-a": "b\r\nx-evil: 1"}}, "fault.headers"),
        ({"headers": {"x a": "b"}}, "fault.headers"),
        ({"redirect": "http://a\r\nx: y"}, "fault.redirect"),
        ({"statuss": 503}, "fault.statuss: found an unknown field, expected one of status, rate"),
        ({"refuse": {}}, "fault.refuse: found 0 ways to choose"),
        ({"refuse": {"all": True, "conversion_id": "a"}}, "2 ways to choose"),
        ({"refuse": {"field": "description"}}, "fault.refuse: found neither"),
        ({"refuse": {"field": "description", "equals": 1, "contains": "x"}}, "either"),
        ({"refuse": {"field": "description", "contains": ""}}, "not empty"),
        ([{"status": 503}, {"status": 1}], "faults[1].status"),
        ([{"status": 503}] * 101, "at most 100"),
    ],
)
def test_bad_description_is_refused_with_what_was_expected(described: object, words: str) -> None:
    _, problems = read_faults(described)
    assert words in "\n".join(map(str, problems))


def test_every_problem_is_named_at_once() -> None:
    _, problems = read_faults([{"status": 1, "rate": 2}, {"nope": 1}])
    assert [problem.path for problem in problems] == [
        "faults[0].status",
        "faults[0].rate",
        "faults[1].nope",
        "faults[1]",
    ]


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
    | st.dictionaries(
        st.sampled_from(["status", "rate", "times", "drop", "headers", "refuse", "processed", "latency_s"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.lists(st.text())
        | st.dictionaries(st.text(), st.text()),
    )
)
def test_no_description_breaks_the_reader(described: object) -> None:
    faults, problems = read_faults(described)
    assert problems or faults or described == []
