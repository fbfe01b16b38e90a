"""`xcapi dlq` list, show, export and discard, against Google's Pub/Sub emulator."""

import base64
import hashlib
import json
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.queues import Queues, hours_ago, purchase, rows, summary
from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.dlq.erasing import Person

pytestmark = pytest.mark.e2e

EMAIL = "jane1@example.com"


def test_list_groups_and_takes_nothing_out(queues: Queues) -> None:
    for number in range(3):
        queues.dead_letter(purchase(number), "rejected", error_code="NOT_FOUND", error_message="event_id (a) does not")
    queues.dead_letter(purchase(9), "expired", pixel_id="p2abc")
    queues.dead_letter(purchase(10), None)
    result = queues.run("dlq", "list", "--json")
    assert result.exit_code == 0, result.output
    groups = {(row["reason"], row["pixel_id"], row["error_code"]): row for row in rows(result)}
    assert {key: row["count"] for key, row in groups.items()} == {
        ("rejected", "o8z6j", "NOT_FOUND"): 3,
        ("expired", "p2abc", ""): 1,
        ("exhausted", "", ""): 1,
    }
    assert all(row["oldest"] <= row["newest"] for row in groups.values())
    assert "held" in result.stderr
    assert len(queues.waiting("dead-letter")) == 5


def test_show_masks_and_says_what_validate_says_now(queues: Queues) -> None:
    queues.dead_letter(purchase(1), "rejected")
    queues.dead_letter({"event": "nope", "email": EMAIL}, "invalid_event")
    result = queues.run("dlq", "show", "--json")
    assert result.exit_code == 0, result.output
    assert sorted(row["end"] for row in rows(result)) == ["conversion", "invalid"]
    assert EMAIL not in result.output
    revealed = queues.run("dlq", "show", "--json", "--reveal", "--reason", "invalid_event")
    assert [EMAIL in json.dumps(row) for row in rows(revealed)] == [True]
    assert len(queues.waiting("dead-letter")) == 2


def test_show_names_what_nothing_reads_and_what_was_dropped(queues: Queues) -> None:
    queues.dead_letter({**purchase(1), "emial": "x", "ip": "10.0.0.1", "ip_address": "10.0.0.1"}, "rejected")
    (row,) = rows(queues.run("dlq", "show", "--json"))
    assert {"field": "emial", "did_you_mean": "email"} in row["unread"]
    assert row["dropped"] == ["private_ip_address"]
    shown = queues.run("dlq", "show").stdout
    assert "nothing reads emial (did you mean email?)" in shown
    assert "dropped private_ip_address: an IP address that is not public" in shown


def test_nothing_of_a_dead_letter_steers_the_terminal(queues: Queues) -> None:
    steering = "\x1b[31m\x9b2J\u202e"
    queues.dead_letter(purchase(1, description=steering), f"rejected{steering}", error_message=f"no{steering}")
    for command in (["list"], ["show"], ["show", "--reveal"]):
        shown = queues.run("dlq", *command)
        assert "rejected\ufffd[31m" in shown.stdout, shown.output
        assert not set(steering[:1] + steering[5:6] + steering[-1]) & set(shown.stdout)


def test_export_is_read_by_validate_and_keeps_bytes(queues: Queues) -> None:
    queues.dead_letter(purchase(1), "rejected", note="a;;b")
    queues.dead_letter(b"\xff\xfe", "invalid_message")
    result = queues.run("dlq", "export", "out.jsonl", "--json")
    assert result.exit_code == 0, result.output
    messages = [json.loads(line)["message"] for line in Path("out.jsonl").read_text().splitlines()]
    assert {base64.b64decode(one["data"])[:2] for one in messages} == {b"\xff\xfe", b'{"'}
    assert all({"data", "attributes", "messageId", "publishTime"} <= set(one) for one in messages)
    assert {one["attributes"].get("xcapi_note") for one in messages} == {None, "a;;b"}
    checked = queues.run("validate", "out.jsonl", "--json")
    assert sorted(row["end"] for row in rows(checked)) == ["conversion", "unreadable"]
    assert len(queues.waiting("dead-letter")) == 2


def test_export_is_its_owners_alone_also_in_a_file_that_is_there(queues: Queues) -> None:
    queues.dead_letter(purchase(1), "rejected")
    Path("there.jsonl").touch(0o644)
    for name in ("new.jsonl", "there.jsonl"):
        assert queues.run("dlq", "export", name).exit_code == 0
        assert Path(name).stat().st_mode & 0o777 == 0o600


def test_discard_asks_first_and_acks_only_what_was_chosen(queues: Queues) -> None:
    queues.dead_letter(purchase(1), "expired")
    queues.dead_letter(purchase(2), "rejected")
    assert queues.run("dlq", "discard", "--reason", "expired", "--json").exit_code == 2  # nobody is there to answer
    result = queues.run("dlq", "discard", "--reason", "expired", "--json", stdin="y\n")
    assert result.exit_code == 0, result.output
    assert (summary(result)["chosen"], summary(result)["acked"], summary(result)["left"]) == (1, 1, 1)
    (left,) = queues.waiting("dead-letter")
    assert left.attributes["xcapi_reason"] == "rejected"


def test_erasure_takes_one_person_and_publishes_the_others_first(queues: Queues) -> None:
    queues.dead_letter(purchase(1), "rejected")
    queues.dead_letter(purchase(2), "rejected")
    queues.dead_letter([purchase(1), purchase(3)], "invalid_event", event_count="2", event_indices="4,7")
    queues.dead_letter(b"\xff\xfe", "invalid_message")
    result = queues.run("dlq", "discard", "--email", EMAIL.upper(), "--yes", "--json")
    assert result.exit_code == 1, "what could not be read may hold the person, too"
    assert (summary(result)["published"], summary(result)["unread"]) == (1, 1)
    remaining = queues.waiting("dead-letter") + queues.waiting("remainder")
    assert not any(EMAIL.encode() in one.data for one in remaining)
    others = [one for one in remaining if b"jane3@" in one.data]
    assert [one.attributes["xcapi_event_indices"] for one in others] == ["7"]
    assert any(b"jane2@" in one.data for one in remaining)
    assert any(one.data == b"\xff\xfe" for one in remaining)
    for place in ("backlog", "log", "X"):
        assert place in result.stderr


SOMEBODY_ELSE = (
    "mary-jane1@example.com",
    "jane1@example.com.au",
    "jane1@example.company",
    "o'jane1@example.com",
    "x.jane1@example.com",
)
HASHED = hashlib.sha256(EMAIL.encode()).hexdigest()


@pytest.mark.parametrize(
    "fields",
    [
        {"email": f"  {EMAIL.title()} "},
        {"hashed_email": HASHED.upper()},
        {"email": "jane\u200b1@exa\u00admple.com"},
        {"event_source_url": f"https://shop.example/?mail={urllib.parse.quote(urllib.parse.quote(EMAIL))}"},
        {"user": json.dumps({"email": EMAIL})},
        {"note": f"from <{EMAIL}>, by mailto:{EMAIL}."},
        {EMAIL: True},
    ],
)
def test_erasure_finds_an_address_however_it_is_written(fields: dict[str, object]) -> None:
    found = Person(EMAIL.upper()).erase(dead_letter(json.dumps({"event": "purchase", **fields}).encode()))
    assert found is not None
    assert found.rest is None


@pytest.mark.parametrize("email", SOMEBODY_ELSE)
def test_erasure_leaves_those_whose_address_only_looks_alike(email: str) -> None:
    assert Person(EMAIL).erase(dead_letter(json.dumps({"event": "purchase", "email": email}).encode())) is None


def test_what_erasure_leaves_can_be_published() -> None:
    """The attributes that Pub/Sub reserves go on under our names, and derived ids keep what they are made of."""
    data = json.dumps([purchase(1), purchase(2), purchase(3)]).encode()
    attributes = {"googclient_schemaencoding": "JSON", "note": f"of {EMAIL}", "shop": "7"}
    found = Person(EMAIL).erase(dead_letter(data, **attributes))
    assert found is not None
    assert found.rest is not None
    assert [event["order_id"] for event in json.loads(found.rest.data)] == [2, 3]
    assert found.rest.attributes == {
        "xcapi_schema_encoding": "JSON",
        "shop": "7",
        "xcapi_publish_time": "2026-04-20T12:00:00.000Z",
        "xcapi_event_indices": "1-2",
        "xcapi_event_count": "2",
    }


def dead_letter(data: bytes, **attributes: str) -> DeadLetter:
    published = datetime(2026, 4, 20, 12, tzinfo=UTC)
    return DeadLetter(message_id="1", data=data, attributes=attributes, publish_time=published)


@pytest.mark.parametrize(
    ("filter_", "left"), [(["--older-than", "2h"], 1), (["--newer-than", "2h"], 1), (["--limit", "1"], 1)]
)
def test_filters_choose(queues: Queues, filter_: list[str], left: int) -> None:
    queues.dead_letter(purchase(1), failed_at=hours_ago(5))
    queues.dead_letter(purchase(2), failed_at=hours_ago(1))
    result = queues.run("dlq", "discard", "--yes", "--json", *filter_)
    assert result.exit_code == 0, result.output
    assert len(queues.waiting("dead-letter")) == left


@pytest.mark.parametrize("command", ["list", "show", "replay", "discard"])
def test_without_a_subscription_the_sentence_says_what_to_give(queues: Queues, command: str) -> None:
    config = {**queues.configuration(), "dead_letter_topic": "file:dead.jsonl"}
    result = queues.run("dlq", command, config=config)
    assert result.exit_code == 2
    assert "--subscription" in result.output
