"""What X notes of a soak is what happened: without it the account would find nothing wrong."""

import contextlib
import time
from collections.abc import Iterator

import pytest
import requests

from tests.sandbox.client import conversion, post
from tests.soak import limits
from tests.soak.evidence import Acceptance, Instance
from tests.soak.limits import early_requests, peaks
from tests.soak.watched_x import WatchedX
from xcapi_core.sandbox.config import SandboxConfig

ALWAYS = [Instance(0.0, time.time() + 3600, "the end")]


@pytest.fixture
def x() -> Iterator[WatchedX]:
    """Give a fresh one."""
    with WatchedX(SandboxConfig(events_per_window=5)) as running:
        yield running


def test_each_event_that_x_took_is_noted_with_its_request(x: WatchedX) -> None:
    post(x, conversion(conversion_id="soak-3-0"), conversion(conversion_id="soak-3-1"))
    x.inject({"refuse": {"conversion_id": "soak-4-0"}})
    post(x, conversion(conversion_id="soak-4-0"), conversion(conversion_id="soak-4-1"))
    assert x.acceptances == [Acceptance((3, 0), 1), Acceptance((3, 1), 1)]
    assert [(seen.status, seen.conversions) for seen in x.seen] == [(200, 2), (400, 2)]


def test_what_was_counted_before_the_connection_was_dropped_is_noted(x: WatchedX) -> None:
    x.inject({"drop": "after", "times": 1}, {"drop": "before", "times": 1})
    for number in (1, 2):
        with contextlib.suppress(requests.ConnectionError):
            post(x, conversion(conversion_id=f"soak-{number}-0"))
    assert [one.event for one in x.acceptances] == [(1, 0)]
    assert [(seen.status, seen.conversions) for seen in x.seen] == [(0, 1), (0, 0)]


def test_late_answer_is_noted_with_its_time(x: WatchedX) -> None:
    # A little more than is asked for: a server's timer may fire some microseconds early.
    x.inject({"latency_s": 0.35})
    post(x, conversion(conversion_id="soak-1-0"))
    assert x.seen[0].answered_at - x.seen[0].received_at >= 0.3


def test_request_before_the_time_that_a_429_named_is_found(x: WatchedX, monkeypatch: pytest.MonkeyPatch) -> None:
    x.inject({"status": 429, "reset_in_s": 30, "times": 1})
    post(x, conversion(conversion_id="soak-1-0"))
    (pause,) = x.pauses
    assert pause.until - pause.told_at > 29
    assert pause.request_id == x.seen[0].request_id
    monkeypatch.setattr(limits, "_ON_ITS_WAY_S", 0.1)
    time.sleep(0.3)  # else it might have been on its way
    post(x, conversion(conversion_id="soak-1-0"))
    assert [one.request_id for one in early_requests(x.seen, x.pauses, ALWAYS, lines={})] == [2]


def test_events_beyond_x_s_own_budget_are_none_that_it_counted(x: WatchedX) -> None:
    for number in range(3):
        post(x, *[conversion(conversion_id=f"soak-{number}-{index}") for index in range(2)])
    assert [seen.status for seen in x.seen] == [200, 200, 429]
    assert [peak.of_one_instance for peak in peaks(x.seen, ALWAYS, 900.0)] == [4]
