"""What X saw and what the function wrote are put together: each line belongs to one request."""

from dataclasses import replace

import pytest

from tests.soak.clients_view import logged_request, pair
from tests.soak.evidence import LoggedRequest, SeenRequest


def seen(number: int, at: float, *, status: int = 200, conversions: int = 1, pixel_id: str = "o8z6j") -> SeenRequest:
    return SeenRequest(number, pixel_id, at, at + 0.1, status, conversions)


def line(at: float, *, status: int = 200, conversions: int = 1, seconds: float = 0.2) -> LoggedRequest:
    return LoggedRequest("o8z6j", at, at + seconds, conversions, status)


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"event": "batch.delivered"}, 200),
        ({"event": "batch.deferred", "http_status": 429}, 429),
        ({"event": "batch.deferred", "cause": "timeout"}, 0),
    ],
)
def test_line_about_a_request_is_read(entry: dict[str, object], status: int) -> None:
    facts = {"time": "2026-01-01T00:00:10.500000Z", "pixel_id": "o8z6j", "conversions": 3, "duration_ms": 400}
    found = logged_request({**facts, **entry})
    assert found is not None
    assert (found.pixel_id, found.conversions, found.status) == ("o8z6j", 3, status)
    assert found.ended_at - found.started_at == pytest.approx(0.401)


@pytest.mark.parametrize("entry", [{"event": "batch.searched", "requests": 3}, {"event": "delivery.settled"}, {}])
def test_other_lines_are_about_no_request(entry: dict[str, object]) -> None:
    assert logged_request(entry) is None


def test_line_is_of_the_request_that_was_under_way() -> None:
    lines = [line(9.95), line(19.95)]
    assert pair([seen(1, 10.0), seen(2, 20.0), seen(3, 30.0)], lines) == {1: lines[0], 2: lines[1]}


@pytest.mark.parametrize(
    "other",
    [seen(1, 10.0, status=503), seen(1, 10.0, conversions=2), seen(1, 10.0, pixel_id="p9q7k"), seen(1, 10.1)],
    ids=["another status", "another number of conversions", "another pixel", "answered after the line was written"],
)
def test_line_of_another_request_is_not_taken(other: SeenRequest) -> None:
    assert pair([other], [line(9.95)]) == {}


def test_each_line_is_of_one_request() -> None:
    lines = [line(9.95), line(9.96)]
    assert pair([seen(1, 10.0), seen(2, 10.01)], lines) == {1: lines[0], 2: lines[1]}


def test_answer_of_which_the_log_knows_nothing_was_given_up() -> None:
    lines = [line(9.95), line(9.95, status=0, seconds=0.1)]
    assert pair([seen(1, 10.0), seen(2, 10.02)], lines) == {1: lines[0], 2: lines[1]}


def test_what_x_did_not_count_may_have_been_of_any_size() -> None:
    refused = line(9.95, status=429, conversions=7)
    assert pair([seen(1, 10.0, status=429, conversions=0)], [refused]) == {1: refused}


def test_request_that_was_dropped_and_tried_once_more_has_the_line_of_both() -> None:
    its = line(9.95, seconds=0.4)
    dropped = replace(seen(1, 10.0, status=0), answered_at=10.1)
    assert pair([dropped, seen(2, 10.15)], [its]) == {1: its, 2: its}
