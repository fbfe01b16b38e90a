"""What the console tells of an event, and what it keeps to itself until somebody reveals it."""

import json
from typing import Any

import pytest
import requests

from tests.sandbox.client import PIXEL_TOKEN, conversion, post
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS
from xcapi_core.sandbox.console.entries import Entry
from xcapi_core.sandbox.server import SandboxServer

DIGEST = "b58996c504c5638798eb6b511e6f49af" * 2
PERSONAL = {
    "twclid": "23opevjt88psuo13lu8d020qkn",
    "hashed_email": DIGEST,
    "hashed_phone_number": DIGEST[::-1],
    "ip_address": "203.0.113.77",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
}


def rows(sandbox: SandboxServer) -> list[dict[str, Any]]:
    return sandbox.feed.changes(0, -1).rows


def details(sandbox: SandboxServer, row: dict[str, Any], query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{sandbox.url}/console/events/{row['id']}{query}", timeout=60).json()
    return found


def test_identifiers_are_masked_until_revealed(server: SandboxServer) -> None:
    post(server, conversion(identifiers=[PERSONAL], event_source_url="https://shop.example/?mail=jane@example.com"))
    (row,) = rows(server)
    masked = json.dumps(details(server, row))
    for value in (*PERSONAL.values(), "jane@example.com"):
        assert value not in masked
    assert f"{DIGEST[:8]}…" in details(server, row)["conversion"]["identifiers"][0]["hashed_email"]
    revealed = details(server, row, "?reveal=1")
    assert revealed["conversion"]["identifiers"] == [PERSONAL]


def test_keys_and_signature_stay_masked_even_when_revealed(server: SandboxServer) -> None:
    post(server, conversion())
    post(server, conversion(conversion_id="by-token"), headers={"X-Pixel-Token": PIXEL_TOKEN})
    for row in rows(server):
        shown = json.dumps(details(server, row, "?reveal=1"))
        assert DEMO_OAUTH_KEYS.consumer_key not in shown
        assert DEMO_OAUTH_KEYS.access_token not in shown
        assert PIXEL_TOKEN not in shown
        assert "***" in shown


@pytest.mark.parametrize("value", ["jane@example.com", "bob", "x" * 300, 'a"b\\c@example.com', "+44 20 7946 0958"])
def test_what_x_quotes_is_masked_too_also_what_it_quotes_of_a_neighbour(server: SandboxServer, value: str) -> None:
    bad = conversion(conversion_id="bad", identifiers=[{"hashed_email": value}])
    post(server, conversion(conversion_id="good"), bad)
    for row in rows(server):
        shown = details(server, row)
        quoted = f"({value[:200]})"
        for text in [problem["message"] for problem in shown["problems"]] + [shown["exchanges"][0]["answer"]]:
            assert quoted not in text
            assert json.dumps(quoted)[1:-1] not in text
        assert "is not a valid SHA-256 hash" in shown["exchanges"][0]["answer"]


def test_bad_one_is_refused_in_xs_words_with_what_to_do_and_its_neighbour_is_deferred(server: SandboxServer) -> None:
    post(server, conversion(conversion_id="good"), conversion(conversion_id="bad", event_id="zzzzz"))
    good, bad = rows(server)
    assert (good["verdict"], good["reason"]) == ("deferred", "refused with another")
    assert (bad["verdict"], bad["reason"]) == ("refused", "NOT_FOUND event_id")
    found = details(server, bad)
    assert [problem["message"] for problem in found["problems"]] == [
        "event_id (zzzzz) does not belong to provided account",
        "event_id (zzzzz) is not a single event tag (SET)",
    ]
    assert [advice for advice in found["advice"] if "Events Manager" in advice] == found["advice"]
    assert details(server, good)["problems"] == []


def test_event_that_is_sent_again_is_one_row_until_it_is_delivered(server: SandboxServer) -> None:
    server.inject({"status": 503, "times": 1}, {"drop": True, "times": 1})
    for _ in range(2):
        try:
            post(server, conversion())
        except requests.exceptions.ConnectionError:
            continue
    (row,) = rows(server)
    assert (row["verdict"], row["reason"], row["attempts"]) == ("deferred", "connection dropped", 2)
    post(server, conversion())
    (row,) = rows(server)
    assert (row["verdict"], row["name"], row["attempts"]) == ("delivered", "purchase", 3)
    post(server, conversion())
    assert [row["attempts"] for row in rows(server)] == [3, 1]


@pytest.mark.parametrize(
    ("fault", "verdict", "reason"),
    [
        ({"status": 429, "reset_in_s": 20}, "deferred", "429 TOO_MANY_REQUESTS"),
        ({"status": 401}, "refused", "401 UNAUTHORIZED_ACCESS"),
        ({"status": 404}, "refused", "404 ROUTE_NOT_FOUND"),
        ({"status": 200, "body": "<html>"}, "deferred", "200 without X's JSON"),
        ({"processed": 3}, "refused", "unconfirmed"),
    ],
)
def test_xs_bad_days_have_verdict_reason_and_advice(
    server: SandboxServer, fault: dict[str, object], verdict: str, reason: str
) -> None:
    server.inject(fault)
    post(server, conversion())
    (row,) = rows(server)
    assert (row["verdict"], row["reason"]) == (verdict, reason)
    assert details(server, row)["advice"]


@pytest.mark.parametrize("body", [b"no json", b'{"conversions": 3}', b"[" * 100_000, b"\xff\xfe"])
def test_request_without_conversions_is_a_row_of_its_own(server: SandboxServer, body: bytes) -> None:
    post(server, data=body, json=None, headers={"Content-Type": "application/json"})
    (row,) = rows(server)
    assert row["verdict"] == "refused"
    assert details(server, row)["exchanges"][0]["status"] == 400


def test_names_and_ids_that_are_addresses_do_not_stand_in_the_list(server: SandboxServer) -> None:
    post(server, conversion(conversion_id="jane@example.com", event_id="jane@example.com"))
    (row,) = rows(server)
    assert "example.com" not in json.dumps(row)
    assert "example.com" not in json.dumps(details(server, row))


def test_event_that_is_not_kept_is_told_so(server: SandboxServer) -> None:
    assert requests.get(f"{server.url}/console/events/99", timeout=60).status_code == 404


def test_fields_that_nothing_reads_are_named_and_none_of_them_is_a_person_s(server: SandboxServer) -> None:
    entry = Entry(
        entry_id=server.feed.next_id(),
        received_at=1.0,
        pixel_id="o8z6j",
        name="purchase",
        conversion_id="order-1",
        verdict="skipped",
        message=json.dumps({"emial": "jane@example.com", "jane@example.com": 1}).encode(),
        unread=("emial (did you mean email?)", "jane@example.com"),
    )
    server.feed.add(entry)
    (row,) = rows(server)
    first, second = details(server, row)["unread"]
    assert first == "emial (did you mean email?)"
    assert "example.com" not in second
