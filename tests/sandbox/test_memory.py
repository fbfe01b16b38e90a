"""What the sandbox keeps: budget, records, the times it named."""

import json

from xcapi_core.sandbox.answers import Answer
from xcapi_core.sandbox.masking import masked_headers
from xcapi_core.sandbox.patience import Patience
from xcapi_core.sandbox.rate import RateBudget
from xcapi_core.sandbox.recorder import ConversionRecord, Recorder, Verdict


def test_budget_is_spent_per_account_and_comes_back_with_the_window() -> None:
    budget = RateBudget(events=1000, window_s=900)
    assert budget.spend("a", 600, now=0)
    assert not budget.spend("a", 401, now=1)
    assert budget.spend("a", 400, now=2)
    assert budget.spend("b", 1000, now=2)
    assert budget.allowance("a", now=3).remaining == 0
    assert not budget.spend("a", 1, now=899)
    assert budget.spend("a", 1000, now=900)


def test_headers_tell_limit_remaining_and_reset_for_user_and_account() -> None:
    budget = RateBudget(events=1000, window_s=900)
    budget.spend("a", 1, now=0.5)
    assert budget.allowance("a", now=1).as_headers() == {
        "x-rate-limit-limit": "1000",
        "x-rate-limit-remaining": "999",
        "x-rate-limit-reset": "901",
        "x-account-rate-limit-limit": "1000",
        "x-account-rate-limit-remaining": "999",
        "x-account-rate-limit-reset": "901",
    }


def records(count: int, verdict: Verdict = "accepted", pixel_id: str = "o8z6j") -> list[ConversionRecord]:
    body = json.dumps({"conversions": [{"conversion_id": str(index)} for index in range(count)]}).encode()
    return [
        ConversionRecord(
            request_id=1, received_at=0, pixel_id=pixel_id, verdict=verdict, body=body, index=index, share_bytes=100
        )
        for index in range(count)
    ]


def test_newest_records_are_kept_within_count_and_totals_stay_exact() -> None:
    recorder = Recorder(keep_conversions=3, keep_bytes=10**6)
    recorder.add_conversions(records(5))
    assert [r["conversion_id"] for r in recorder.conversions("accepted")] == ["2", "3", "4"]
    assert (recorder.counts()["accepted"], recorder.counts()["forgotten"]) == (5, 2)


def test_newest_records_are_kept_within_bytes() -> None:
    recorder = Recorder(keep_conversions=10**6, keep_bytes=250)
    recorder.add_conversions(records(5))
    assert [r["conversion_id"] for r in recorder.conversions("accepted")] == ["3", "4"]


def test_records_are_found_by_verdict_pixel_and_limit() -> None:
    recorder = Recorder(keep_conversions=100, keep_bytes=10**6)
    recorder.add_conversions(records(3) + records(2, "refused") + records(4, pixel_id="p9q7k"))
    assert len(recorder.conversions("accepted")) == 7
    assert len(recorder.conversions("refused")) == 2
    assert [r["conversion_id"] for r in recorder.conversions("accepted", pixel_id="p9q7k", limit=2)] == ["2", "3"]


def test_repetition_is_known_for_48_hours() -> None:
    recorder = Recorder(keep_conversions=1, keep_bytes=1)
    hours = 3600.0
    assert not recorder.is_repetition("o8z6j", "o8z21", "order-1", now=0)
    assert not recorder.is_repetition("o8z6j", "o8z22", "order-1", now=0)
    assert not recorder.is_repetition("p9q7k", "o8z21", "order-1", now=0)
    assert recorder.is_repetition("o8z6j", "o8z21", "order-1", now=47.9 * hours)
    assert not recorder.is_repetition("o8z6j", "o8z21", "order-1", now=96 * hours)


def test_who_comes_before_the_time_that_was_named_is_early() -> None:
    patience = Patience()
    patience.hear("o8z6j", Answer(status=503, body=b"", headers={"retry-after": "10"}), now=100.0)
    assert not patience.is_early("o8z6j", 100.1), "that one was on its way already"
    assert patience.is_early("o8z6j", 109.9)
    assert not patience.is_early("o8z6j", 110.0)
    assert not patience.is_early("p9q7k", 105.0)


def test_spent_budget_names_a_time_too() -> None:
    patience = Patience()
    headers = {"x-account-rate-limit-remaining": "0", "x-account-rate-limit-reset": "900"}
    patience.hear("o8z6j", Answer(status=429, body=b"", headers=headers), now=100.0)
    assert patience.is_early("o8z6j", 899.0)
    patience.hear("o8z6j", Answer(status=503, body=b"", headers={"retry-after": "1"}), now=101.0)
    assert patience.is_early("o8z6j", 899.0), "a shorter time does not lift a longer one"


def test_headers_are_shown_without_what_signs_or_identifies() -> None:
    authorization = (
        'OAuth oauth_nonce="n0nce", oauth_timestamp="1790000000", oauth_consumer_key="ck", '
        'oauth_token="at", oauth_signature_method="HMAC-SHA1", oauth_signature="c2ln%3D", evil="x" loose-secret'
    )
    shown = masked_headers(
        {
            "host": "a",
            "authorization": authorization,
            "x-pixel-token": "secret",
            "cookie": "secret",
            "x-other": "secret",
        }
    )
    assert shown == {
        "host": "a",
        "authorization": 'OAuth oauth_nonce="***", oauth_timestamp="1790000000", oauth_consumer_key="***", '
        'oauth_token="***", oauth_signature_method="HMAC-SHA1", oauth_signature="***", evil="***"',
        "x-pixel-token": "***",
    }
    assert masked_headers({"authorization": "Bearer secret"}) == {"authorization": "***"}
