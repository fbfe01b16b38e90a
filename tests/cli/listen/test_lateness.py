"""A subscriber is behind by Pub/Sub's clock, and by no other."""

from datetime import UTC, datetime, timedelta

import pytest

from xcapi_core.cli.listen.lateness import Lateness

NOON = datetime(2026, 4, 20, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize("clock_ahead_s", [0, 3_600, -3_600])
def test_messages_that_grow_old_are_found_by_whatever_clock(clock_ahead_s: float) -> None:
    lateness = Lateness()
    assert not lateness.is_behind([after(0), after(1)], after(clock_ahead_s + 2))
    assert not lateness.is_behind([after(3)], after(clock_ahead_s + 60))
    assert lateness.is_behind([after(4), after(5)], after(clock_ahead_s + 70))
    assert abs(lateness.at_pubsub(after(clock_ahead_s + 70)) - after(70)) <= timedelta(seconds=1)


def test_a_quiet_topic_is_not_behind() -> None:
    lateness = Lateness()
    assert not lateness.is_behind([], NOON)
    assert lateness.at_pubsub(NOON) == NOON
