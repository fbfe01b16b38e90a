"""`xcapi dlq` list, show, export and discard, against Google's Pub/Sub emulator."""

import base64
import json
from pathlib import Path

import pytest

from tests.cli.queues import Queues, hours_ago, purchase, rows, summary

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
