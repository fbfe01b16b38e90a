"""Times: dates without separators, and times that lie after the message's publication; the tables have the rest."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.events.sources import event_source
from xcapi_core.events.drops import Drop
from xcapi_core.events.times import read_time, settled_time
from xcapi_core.problems import Problem

_PUBLISHED = datetime(2026, 4, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("digits", "time"),
    [
        ("2026042011", datetime(2026, 4, 20, 11, tzinfo=UTC)),
        ("20260420113456", datetime(2026, 4, 20, 11, 34, 56, tzinfo=UTC)),
        ("2026042011345678", datetime(2026, 4, 20, 11, 34, 56, 780_000, tzinfo=UTC)),
        ("20260420113456789", datetime(2026, 4, 20, 11, 34, 56, 789_000, tzinfo=UTC)),
        ("20240229000000", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_digits_that_are_an_epoch_of_the_future_are_a_date(digits: str, time: datetime) -> None:
    for notation in (digits, f" {digits} ", int(digits), Decimal(digits), Decimal(f"{digits}.0")):
        assert read_time(notation, _PUBLISHED) == time


# The years that these would be as dates are of no epoch number of our time.
@given(milliseconds=st.integers(946_684_800_000, 1_776_686_400_000))
def test_epoch_of_the_past_is_never_a_date(milliseconds: int) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    for notation in (milliseconds, str(milliseconds), milliseconds * 1000, Decimal(milliseconds) / 1000):
        assert read_time(notation, _PUBLISHED) == time


# 2000010112 is 2033-05-18 as an epoch, so even ten digits of the year 2000 lie in the future.
@given(naive=st.datetimes(datetime(2000, 1, 1), datetime(2026, 4, 19)))  # noqa: DTZ001 - hypothesis takes naive limits
def test_every_compact_date_of_the_past_is_read(naive: datetime) -> None:
    time = naive.replace(tzinfo=UTC, microsecond=naive.microsecond // 1000 * 1000)
    second = time.replace(microsecond=0)
    assert read_time(f"{time:%Y%m%d%H%M%S%f}"[:17], _PUBLISHED) == time
    assert read_time(f"{time:%Y%m%d%H%M%S}", _PUBLISHED) == second
    assert read_time(f"{time:%Y%m%d%H}", _PUBLISHED) == second.replace(minute=0, second=0)


def _settled(given: object) -> tuple[object, list[Drop]]:
    dropped: list[Drop] = []
    return settled_time(given, "time", event_source(), dropped), dropped


@pytest.mark.parametrize(
    "digits", ["20261301000000", "20260230000000", "20260420250000", "99991231235959", "2026042012000"]
)
def test_digits_of_the_future_that_are_no_date_are_no_time_of_a_conversion(digits: str) -> None:
    assert isinstance(_settled(digits)[0], Problem)


@pytest.mark.parametrize(
    ("ahead", "settled"),
    [
        (timedelta(0), timedelta(0)),
        (timedelta(minutes=-90), timedelta(minutes=-90)),
        (timedelta(minutes=5), timedelta(minutes=5)),
        (timedelta(minutes=5, milliseconds=1), timedelta(0)),
        (timedelta(hours=48), timedelta(0)),
        (timedelta(hours=48, milliseconds=1), None),
    ],
)
def test_time_ahead_of_the_publication_is_left_replaced_or_refused(ahead: timedelta, settled: timedelta | None) -> None:
    time, dropped = _settled((_PUBLISHED + ahead).isoformat())
    assert isinstance(time, Problem) if settled is None else time == _PUBLISHED + settled
    assert dropped == ([Drop.FUTURE_TIME] if settled not in (ahead, None) else [])
