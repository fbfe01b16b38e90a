"""The console's memory: exact totals, bounded rows, changes since a revision."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import requests

from tests.sandbox.client import conversion, post
from xcapi_core.sandbox.answers import success_answer
from xcapi_core.sandbox.config import SandboxConfig
from xcapi_core.sandbox.console.entries import Entry, Exchange
from xcapi_core.sandbox.console.feed import Feed
from xcapi_core.sandbox.console.rulings import Ruling
from xcapi_core.sandbox.recorder import RequestRecord
from xcapi_core.sandbox.server import SandboxServer


def exchange(*ids: str, padding: int = 0) -> Exchange:
    body = {"conversions": [conversion(conversion_id=one, description="x" * padding) for one in ids]}
    request = RequestRecord(
        request_id=1,
        received_at=1.0,
        method="POST",
        path="/12/measurement/conversions/o8z6j",
        pixel_id="o8z6j",
        status=200,
        conversions=len(ids),
        accepted=len(ids),
        body_bytes=0,
        duration_ms=1.0,
        auth="oauth1",
    )
    return Exchange(request=request, body=json.dumps(body).encode(), answer=success_answer("a", len(ids), "d"))


def entry(feed: Feed) -> Entry:
    return Entry(
        entry_id=feed.next_id(),
        received_at=1.0,
        pixel_id="o8z6j",
        name="purchase",
        conversion_id="a",
        verdict="waiting",
    )


def test_totals_stay_exact_when_rows_have_made_room() -> None:
    feed = Feed(SandboxConfig(), keep_entries=3)
    for number in range(10):
        feed.hear(exchange(f"order-{number}"))
    found = feed.changes(0, -1)
    assert [row["conversion_id"] for row in found.rows] == ["order-7", "order-8", "order-9"]
    assert found.totals["verdicts"] == {"delivered": 10}
    assert found.totals["match_keys"] == {"twclid": 10}


def test_bytes_are_bounded_before_and_after_somebody_looks() -> None:
    feed = Feed(SandboxConfig(), keep_bytes=50_000, keep_unread_bytes=50_000)
    for number in range(20):
        feed.hear(exchange(f"order-{number}", padding=10_000))
    found = feed.changes(0, -1)
    assert 1 <= len(found.rows) <= 5
    assert found.totals["missed_requests"] == 20 - len(found.rows)


def test_only_what_changed_since_then_is_told() -> None:
    feed = Feed(SandboxConfig())
    feed.hear(exchange("a", "b"))
    first = feed.changes(0, -1)
    assert feed.changes(first.generation, first.revision).rows == []
    feed.hear(exchange("c"))
    assert [row["conversion_id"] for row in feed.changes(first.generation, first.revision).rows] == ["c"]


def test_clear_forgets_all_and_starts_another_generation() -> None:
    feed = Feed(SandboxConfig())
    feed.hear(exchange("a"))
    before = feed.changes(0, -1)
    feed.clear()
    after = feed.changes(before.generation, before.revision)
    assert after.generation != before.generation
    assert (after.rows, after.totals["events"]) == ([], 0)


def test_announced_event_is_the_one_that_the_request_is_about_in_either_spelling_of_its_tag() -> None:
    feed = Feed(SandboxConfig())
    announced = entry(feed)
    feed.add(announced, ("o8z6j", "o8z21", "a"))
    feed.hear(exchange("a"))
    (row,) = feed.changes(0, -1).rows
    assert (row["id"], row["verdict"]) == (announced.entry_id, "delivered")


def test_one_of_two_alike_waits_until_it_is_settled() -> None:
    feed = Feed(SandboxConfig())
    one, other = entry(feed), entry(feed)
    for announced in (one, other):
        feed.add(announced, ("o8z6j", "o8z21", "a"))
    feed.hear(exchange("a"))
    feed.settle(other, Ruling("skipped", "already_delivered"))
    totals = feed.changes(0, -1).totals
    assert totals["verdicts"] == {"delivered": 1, "skipped": 1}
    assert totals["reasons"] == {"skipped": {"already_delivered": 1}}


def test_request_that_came_before_the_end_is_no_row_of_its_own() -> None:
    feed = Feed(SandboxConfig())
    announced = entry(feed)
    feed.add(announced, ("o8z6j", "o8z21", "a"))
    feed.hear(exchange("a"))
    feed.settle(announced, Ruling("dead_lettered", "rejected"))
    (row,) = feed.changes(0, -1).rows
    assert (row["verdict"], row["attempts"]) == ("dead_lettered", 1)


def test_stream_tells_rows_totals_and_faults_and_goes_on_where_the_page_was(server: SandboxServer) -> None:
    post(server, conversion(conversion_id="a"))
    server.inject({"status": 503, "times": 1})
    with requests.get(f"{server.url}/console/stream", stream=True, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = event_of(answer.iter_lines(decode_unicode=True))
    assert [row["conversion_id"] for row in told["rows"]] == ["a"]
    assert told["totals"]["verdicts"] == {"delivered": 1}
    assert told["faults"] == [{"status": 503, "times": 1, "fired": 0, "active": True}]
    server.clear_faults()
    post(server, conversion(conversion_id="b"))
    again = {"Last-Event-ID": told["id"]}
    with requests.get(f"{server.url}/console/stream", stream=True, timeout=60, headers=again) as answer:
        assert [row["conversion_id"] for row in event_of(answer.iter_lines(decode_unicode=True))["rows"]] == ["b"]


def test_streams_take_turns_and_each_tells_before_it_ends(server: SandboxServer) -> None:
    post(server, conversion(conversion_id="a"))
    with ExitStack() as opened:
        streams = [
            opened.enter_context(requests.get(f"{server.url}/console/stream", stream=True, timeout=60))
            for _ in range(6)
        ]
        told = [stream.iter_lines(decode_unicode=True) for stream in streams]
        assert all(event_of(lines)["rows"] for lines in told)
        for lines in told[:2]:
            assert not any(lines)  # it ended; the others go on
        post(server, conversion(conversion_id="b"))
        for lines in told[2:]:
            assert [row["conversion_id"] for row in event_of(lines)["rows"]] == ["b"]


def event_of(lines: Iterator[str]) -> dict[str, Any]:
    last_id = ""
    for line in lines:
        if line.startswith("id: "):
            last_id = line.removeprefix("id: ")
        if line.startswith("data: "):
            return {**json.loads(line.removeprefix("data: ")), "id": last_id}
    raise AssertionError("the stream ended")
