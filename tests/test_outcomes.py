"""Outcomes are values: they compare, cannot be changed, and hold nothing besides their fields."""

import pytest

from xcapi_core.outcomes import (
    AlreadyDelivered,
    DeadLetterReason,
    Deferred,
    Delivered,
    Expired,
    Invalid,
    Outcome,
    Rejected,
    Skipped,
    SkipReason,
)
from xcapi_core.problems import Problem

PROBLEM = Problem(path="value", found="a list", expected="a number")
OUTCOMES: list[Outcome] = [
    Delivered(),
    AlreadyDelivered(),
    Skipped(SkipReason.NO_CONSENT),
    Invalid(PROBLEM),
    Expired(PROBLEM),
    Rejected(reason=DeadLetterReason.REJECTED, http_status=400, error_message="X's words"),
    Deferred(nack_status=429, cause="rate_limited"),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_outcome_is_a_value(outcome: Outcome) -> None:
    names = outcome.__struct_fields__
    same = type(outcome)(**{name: getattr(outcome, name) for name in names})
    assert (same, hash(same)) == (outcome, hash(outcome))
    assert [other for other in OUTCOMES if other == outcome] == [outcome]
    for name in names:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(outcome, name, None)
    assert not hasattr(outcome, "__dict__")


@pytest.mark.parametrize("outcome", [Rejected, Deferred])
def test_what_has_several_fields_names_them(outcome: type[Outcome]) -> None:
    with pytest.raises(TypeError, match="positional"):
        outcome(503, "x_unavailable")  # type: ignore[arg-type, call-arg]  # which is the point


def test_reasons_are_the_attribute_s_values() -> None:
    assert [*DeadLetterReason] == [
        *("invalid_message", "invalid_event", "rejected", "unauthorized", "unconfirmed", "expired"),
    ]
    assert [*SkipReason] == ["no_consent", "unwanted", "no_identifier", "dry_run"]


def test_x_s_words_show_in_no_repr() -> None:
    words = "hashed_email (5806dc6b)"
    rejected = Rejected(
        reason=DeadLetterReason.REJECTED,
        http_status=400,
        error_code=words,
        error_parameter=words,
        error_message=words,
    )
    assert "5806dc6b" not in repr(rejected)
