"""X's "not before", and who asks first after it."""

import pytest

from xcapi_core.outcomes import Deferred
from xcapi_core.x_api.pause import LONGEST_PAUSE_S, Pause
from xcapi_core.x_api.rate_hints import RateHint

LIMITED = Deferred(nack_status=429, cause="rate_limited")
DOWN = Deferred(nack_status=503, cause="x_unavailable")


def test_429_pauses_until_x_s_reset() -> None:
    pause = Pause()
    pause.note_deferred(100.0, RateHint(remaining=0, reset_after_s=7), LIMITED)
    assert pause.ends_at(100.0) == 107.0
    assert pause.ends_at(107.0) == 107.0
    assert pause.reason == LIMITED
    assert pause.probing


def test_retry_after_of_a_503_pauses_as_unavailable() -> None:
    pause = Pause()
    pause.note_deferred(0.0, RateHint(retry_after_s=5), DOWN)
    assert pause.ends_at(0.0) == 5.0
    assert pause.reason == DOWN


def test_retry_after_of_a_429_counts_alone_while_budget_is_left() -> None:
    """X's reset then is that of a window which has room; where nothing is left, both have to pass."""
    pause = Pause()
    pause.note_deferred(0.0, RateHint(retry_after_s=2, remaining=500, reset_after_s=900), LIMITED)
    assert pause.ends_at(0.0) == 2.0
    pause.note_deferred(0.0, RateHint(retry_after_s=2, remaining=0, reset_after_s=900), LIMITED)
    assert pause.ends_at(0.0) == 900.0


def test_503_without_a_time_does_not_pause() -> None:
    pause = Pause()
    pause.note_deferred(0.0, RateHint(remaining=50, reset_after_s=60), DOWN)
    assert pause.ends_at(0.0) == 0.0


def test_429_without_a_time_backs_off_doubling_to_a_minute_until_x_judges_a_request() -> None:
    pause = Pause()
    now, delays = 0.0, []
    for _ in range(8):
        pause.note_deferred(now, RateHint(), LIMITED)
        delays.append(pause.ends_at(now) - now)
        now = pause.ends_at(now)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    pause.note_judged()
    pause.note_deferred(now, RateHint(), LIMITED)
    assert pause.ends_at(now) - now == 1


def test_a_wild_time_pauses_for_an_hour_at_most() -> None:
    pause = Pause()
    pause.note_deferred(0.0, RateHint(retry_after_s=1e12), LIMITED)
    assert pause.ends_at(0.0) == LONGEST_PAUSE_S == 3600.0


def test_at_first_there_is_no_pause() -> None:
    pause = Pause()
    assert pause.ends_at(5.0) == 5.0
    assert not pause.probing
    assert pause.reason == LIMITED
    assert pause.probe_size is None


def test_clock_may_start_anywhere() -> None:
    pause = Pause()
    assert pause.ends_at(-5.0) == -5.0
    pause.start(-50.0, 10.0, DOWN)
    assert pause.ends_at(-50.0) == -40.0


def test_judged_request_opens_the_way_for_the_others() -> None:
    pause = Pause()
    pause.start(0.0, 5.0, DOWN)
    assert pause.probing
    pause.note_judged()
    assert not pause.probing


def test_longer_pause_stays_and_an_equal_word_is_the_newer_one() -> None:
    pause = Pause()
    pause.start(0.0, 10.0, LIMITED)
    pause.note_judged()
    pause.start(0.0, 5.0, DOWN)
    assert (pause.ends_at(0.0), pause.reason, pause.probing) == (10.0, LIMITED, True)
    pause.start(5.0, 5.0, DOWN)
    assert (pause.ends_at(0.0), pause.reason) == (10.0, DOWN)


@pytest.mark.parametrize(
    ("hint", "reason", "paused_s"),
    [
        (RateHint(remaining=5, reset_after_s=60), LIMITED, 60),  # a 429 says that nothing is left, whatever it counts
        (RateHint(remaining=0, reset_after_s=60), DOWN, 60),
        (RateHint(reset_after_s=60), LIMITED, 60),
        (RateHint(reset_after_s=60), DOWN, 0),
        (RateHint(retry_after_s=2, reset_after_s=60), LIMITED, 60),
        (RateHint(retry_after_s=2, reset_after_s=60), DOWN, 2),
        (RateHint(retry_after_s=90, remaining=0, reset_after_s=60), LIMITED, 90),
        (RateHint(retry_after_s=0), LIMITED, 1),  # no time at all: the first back-off
        (RateHint(remaining=0, reset_after_s=0), LIMITED, 1),
        (RateHint(retry_after_s=0, remaining=0, reset_after_s=3), LIMITED, 3),
        (RateHint(retry_after_s=0), DOWN, 0),
    ],
)
def test_how_long_an_answer_pauses(hint: RateHint, reason: Deferred, paused_s: float) -> None:
    pause = Pause()
    pause.note_deferred(100.0, hint, reason)
    assert pause.ends_at(100.0) == 100.0 + paused_s
    assert pause.probing == (paused_s > 0)


def test_size_of_the_probe_holds_until_x_judges_one() -> None:
    pause = Pause()
    pause.start(0.0, 60.0, DOWN, probe_size=1)
    pause.start(0.0, 5.0, LIMITED)
    assert pause.probe_size == 1, "the longer pause is the one that counts"
    pause.note_judged()
    assert pause.probe_size is None


def test_back_off_is_the_same_for_whatever_names_no_time() -> None:
    pause = Pause()
    pause.back_off(0.0, DOWN)
    pause.note_deferred(1.0, RateHint(), LIMITED)
    assert pause.ends_at(1.0) == 3.0
