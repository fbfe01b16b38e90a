"""What the headers of X's answers say."""

import pytest

from xcapi_core.x_api.rate_hints import RateHint, read_rate_hint


def test_what_answers_say_is_a_value_with_named_parts() -> None:
    with pytest.raises(TypeError, match="positional"):
        RateHint(1.0)  # type: ignore[call-arg]  # which is the point
    with pytest.raises(AttributeError, match="immutable"):
        RateHint().remaining = 1  # type: ignore[misc]  # likewise
    assert not hasattr(RateHint(), "__dict__")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, RateHint()),
        ({"retry-after": "7"}, RateHint(retry_after_s=7)),
        ({"retry-after": "Thu, 01 Jan 1970 00:16:50 GMT"}, RateHint(retry_after_s=10)),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, RateHint(retry_after_s=0)),
        ({"retry-after": "soon"}, RateHint()),
        ({"retry-after": "nan"}, RateHint()),
        ({"retry-after": ""}, RateHint()),
        ({"retry-after": "-5"}, RateHint(retry_after_s=0)),
        ({"retry-after": "0"}, RateHint(retry_after_s=0)),
        ({"retry-after": "0.5"}, RateHint(retry_after_s=0.5)),
        ({"retry-after": "1e400"}, RateHint()),
        ({"retry-after": "Thu, 01 Jan 99999 00:00:00 GMT"}, RateHint()),
        ({"x-rate-limit-remaining": "5.9"}, RateHint(remaining=5)),
        ({"x-rate-limit-remaining": "0"}, RateHint(remaining=0)),
        ({"x-rate-limit-remaining": "1", "x-account-rate-limit-remaining": "2"}, RateHint(remaining=1)),
        ({"x-rate-limit-remaining": "1", "x-account-rate-limit-reset": "1005"}, RateHint(reset_after_s=5)),
        (
            {"x-rate-limit-remaining": "5", "x-rate-limit-reset": "1060"},
            RateHint(remaining=5, reset_after_s=60),
        ),
        (
            {
                "x-rate-limit-remaining": "5",
                "x-rate-limit-reset": "1060",
                "x-account-rate-limit-remaining": "0",
                "x-account-rate-limit-reset": "1030",
            },
            RateHint(remaining=0, reset_after_s=30),
        ),
        ({"x-rate-limit-remaining": "-3", "x-rate-limit-reset": "900"}, RateHint(remaining=0, reset_after_s=0)),
        ({"x-rate-limit-reset": "87400"}, RateHint(reset_after_s=86_400)),
        ({"x-rate-limit-reset": "87401"}, RateHint()),
        # By X's own clock: ours is ten minutes behind, an hour ahead.
        ({"date": "Thu, 01 Jan 1970 00:26:40 GMT", "x-rate-limit-reset": "1660"}, RateHint(reset_after_s=60)),
        ({"date": "Wed, 31 Dec 1969 23:16:40 GMT", "x-rate-limit-reset": "-2540"}, RateHint(reset_after_s=60)),
        (
            {"date": "Thu, 01 Jan 1970 00:26:40 GMT", "retry-after": "Thu, 01 Jan 1970 00:26:50 GMT"},
            RateHint(retry_after_s=10),
        ),
        ({"date": "Thu, 01 Jan 1970 00:26:40 GMT", "retry-after": "7"}, RateHint(retry_after_s=7)),
        ({"date": "today", "x-rate-limit-reset": "1060"}, RateHint(reset_after_s=60)),
        # In milliseconds.
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "1790000060000"}, RateHint(remaining=0)),
        ({"x-rate-limit-remaining": "many", "x-rate-limit-reset": "inf"}, RateHint()),
    ],
)
def test_headers_are_read_as_delays_from_now(headers: dict[str, str], expected: RateHint) -> None:
    assert read_rate_hint(headers, now_epoch_s=1000.0) == expected
