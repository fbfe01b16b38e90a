"""`xcapi dlq replay` against Google's emulator: published first, acked after, and nothing but what was chosen."""

import base64
import json
from pathlib import Path

import pytest

from tests.cli.queues import Queues, hours_ago, purchase, rows, summary


def test_replay_publishes_to_the_remainder_topic_and_acks(queues: Queues) -> None:
    event = b'{ "event":"purchase",  "order_id":1, "email":"jane@example.com", "time":"' + hours_ago(1).encode() + b'"}'
    queues.dead_letter(event, "unauthorized", publish_time=hours_ago(2), event_index="7", message_id="m1", version="1")
    result = queues.run("dlq", "replay", "--json")
    assert result.exit_code == 0, result.output
    counts = summary(result)
    assert [counts[name] for name in ("chosen", "published", "acked", "left")] == [1, 1, 1, 0]
    (message,) = queues.waiting("remainder")
    assert message.data == event
    attributes = dict(message.attributes)
    assert attributes.pop("xcapi_publish_time")
    assert attributes == {
        "xcapi_reason": "unauthorized",
        "xcapi_pixel_id": "o8z6j",
        "xcapi_event_index": "7",
        "xcapi_message_id": "m1",
        "xcapi_version": "1",
        "xcapi_replays": "1",
    }
    assert queues.waiting("dead-letter") == []


def test_replay_counts_up_and_keeps_everything_else(queues: Queues) -> None:
    data = [purchase(1), purchase(2), purchase(3)]
    odd = {"note": "a;;b=c,d ^;;^", "xcapi_replays": "4", "xcapi_event_indices": "0-1,7", "xcapi_event_count": "3"}
    queues.publish(json.dumps(data).encode(), {"xcapi_reason": "unauthorized", **odd})
    assert queues.run("dlq", "replay").exit_code == 0
    (message,) = queues.waiting("remainder")
    assert json.loads(message.data) == data
    kept = dict(message.attributes)
    assert {name: kept[name] for name in odd} == {**odd, "xcapi_replays": "5"}


AVRO = {
    "event": {"string": "purchase"},
    "order_id": {"long": 1},
    "twclid": {"string": "23opevjt88psuo13lu8d020qkn"},
    "user": {"com.example.User": {"email": {"string": "jane@example.com"}}},
}


@pytest.mark.parametrize("name", ["googclient_schemaencoding", "xcapi_schema_encoding"])
def test_what_pubsub_made_of_avro_goes_again_as_it_came(queues: Queues, name: str) -> None:
    """The encoding goes on under the name that may be published, without which nobody could read the unions."""
    data = json.dumps(AVRO, indent=1).encode()
    first = hours_ago(5)
    source = {
        "CloudPubSubDeadLetterSourceTopicPublishTime": first,
        "CloudPubSubDeadLetterSourceDeliveryCount": "100",
    }
    queues.publish(data, {**source, name: "JSON", "googclient_schemarevisionid": "1"})
    assert [row["reason"] for row in rows(queues.run("dlq", "list", "--json"))] == ["exhausted"]
    (shown,) = rows(queues.run("dlq", "show", "--json"))
    assert (shown["end"], shown["conversion"]["conversion_id"]) == ("conversion", "1")
    result = queues.run("dlq", "replay", "--reason", "exhausted", "--json")
    assert (result.exit_code, summary(result)["published"]) == (0, 1), result.output
    (message,) = queues.waiting("remainder")
    assert message.data == data
    assert dict(message.attributes) == {**source, "xcapi_schema_encoding": "JSON", "xcapi_replays": "1"}
    assert queues.waiting("dead-letter") == []


def test_avro_is_mended_in_its_unions(queues: Queues) -> None:
    queues.dead_letter(AVRO, "invalid_event", schema_encoding="JSON")
    assert queues.run("dlq", "replay", "--set", "value=12.50", "--set", "currency=EUR").exit_code == 0
    (message,) = queues.waiting("remainder")
    assert json.loads(message.data) == {**AVRO, "value": 12.5, "currency": "EUR"}


def test_avro_in_binary_which_nobody_reads_stays(queues: Queues) -> None:
    queues.publish(b"\x10purchase\x02\x0c", {"googclient_schemaencoding": "BINARY"})
    result = queues.run("dlq", "replay", "--json")
    assert (result.exit_code, summary(result)["left"]) == (1, 1)
    (left,) = queues.waiting("dead-letter")
    assert left.data == b"\x10purchase\x02\x0c"


def test_message_without_any_first_publish_time_keeps_its_own(queues: Queues) -> None:
    queues.publish(json.dumps({"event": "purchase", "email": "jane@example.com"}).encode(), {})
    assert queues.run("dlq", "replay").exit_code == 0
    (message,) = queues.waiting("remainder")
    assert message.attributes["xcapi_publish_time"].endswith("Z")


def test_what_validate_still_refuses_stays_and_makes_it_1(queues: Queues) -> None:
    queues.dead_letter(b"\xff\xfe no text", "invalid_message")
    queues.dead_letter({"event": "purchase"}, "invalid_event")
    queues.dead_letter(purchase(1), "rejected")
    result = queues.run("dlq", "replay", "--json")
    assert result.exit_code == 1
    counts = summary(result)
    assert [counts[name] for name in ("chosen", "published", "acked", "left")] == [3, 1, 1, 2]
    assert "jane" not in result.output
    assert sorted(message.attributes["xcapi_reason"] for message in queues.waiting("dead-letter")) == [
        "invalid_event",
        "invalid_message",
    ]


def test_unconfirmed_go_only_by_their_name_and_age_by_when_they_failed(queues: Queues) -> None:
    queues.dead_letter(purchase(1, time=hours_ago(60)), "unconfirmed", failed_at=hours_ago(1))
    queues.dead_letter(purchase(2, time=hours_ago(60)), "unconfirmed", failed_at=hours_ago(60))
    queues.dead_letter(purchase(3), "rejected")
    result = queues.run("dlq", "replay", "--json")
    assert (result.exit_code, summary(result)["published"], summary(result)["left"]) == (0, 1, 2)
    result = queues.run("dlq", "replay", "--json", "--reason", "unconfirmed")
    assert (result.exit_code, summary(result)["published"], summary(result)["left"]) == (1, 1, 1)
    result = queues.run("dlq", "replay", "--json", "--reason", "unconfirmed", "--allow-old")
    assert (result.exit_code, summary(result)["published"], summary(result)["left"]) == (0, 1, 0)


def test_what_is_older_than_two_days_stays_unless_told(queues: Queues) -> None:
    queues.dead_letter(purchase(1, time=hours_ago(49)))
    queues.dead_letter([purchase(2), purchase(3, time=hours_ago(49))])
    queues.dead_letter(purchase(4, time=hours_ago(47)))
    queues.dead_letter({"event": "purchase", "email": "jane@example.com"}, publish_time=hours_ago(49))
    result = queues.run("dlq", "replay", "--json")
    assert (result.exit_code, summary(result)["published"], summary(result)["left"]) == (1, 1, 3)
    result = queues.run("dlq", "replay", "--json", "--allow-old")
    assert (result.exit_code, summary(result)["published"], summary(result)["left"]) == (0, 3, 0)


def test_dry_run_publishes_nothing_and_gives_everything_back(queues: Queues) -> None:
    for number in range(3):
        queues.dead_letter(purchase(number))
    result = queues.run("dlq", "replay", "--dry-run", "--json")
    assert result.exit_code == 0
    assert (summary(result)["published"], summary(result)["would_publish"]) == (0, 3)
    assert queues.waiting("remainder") == []
    assert len(queues.waiting("dead-letter")) == 3


def test_filters_and_limit_choose(queues: Queues) -> None:
    for number in range(4):
        queues.dead_letter(purchase(number), "rejected", error_code="A", failed_at=hours_ago(1))
    queues.dead_letter(purchase(5), "rejected", error_code="B", failed_at=hours_ago(10))
    queues.dead_letter(purchase(6), "unauthorized", pixel_id="p2abc", failed_at=hours_ago(30))
    for arguments, published in (
        (("--error-code", "B"), 1),
        (("--pixel", "p2abc"), 1),
        (("--older-than", "1d"), 0),
        (("--newer-than", "2h", "--limit", "3"), 3),
        (("--reason", "rejected", "--reason", "unauthorized"), 1),
    ):
        result = queues.run("dlq", "replay", "--json", *arguments)
        assert (result.exit_code, summary(result)["published"]) == (0, published), arguments


def test_set_mends_each_event_and_leaves_its_other_bytes(queues: Queues) -> None:
    number = b'{"event":"purchase","value":1.50,"email":"jane@example.com","time":"' + hours_ago(1).encode() + b'"}'
    queues.dead_letter(b"[" + number + b", " + number + b"]", "invalid_event", event_count="2", event_indices="3-4")
    result = queues.run("dlq", "replay", "--set", "currency=EUR", "--set", "order_id=10001")
    assert result.exit_code == 0, result.output
    (message,) = queues.waiting("remainder")
    assert message.data == b"[" + b",".join([number[:-1] + b',"currency":"EUR","order_id":10001}'] * 2) + b"]"
    assert message.attributes["xcapi_event_indices"] == "3-4"


def test_set_that_leaves_an_event_invalid_keeps_it(queues: Queues) -> None:
    queues.dead_letter(purchase(1))
    assert queues.run("dlq", "replay", "--set", "value=much").exit_code == 1
    (message,) = queues.waiting("dead-letter")
    assert "much" not in message.data.decode()


@pytest.mark.parametrize(
    "assignment",
    [
        "consent=true",
        "Ad-Storage=granted",
        "user.consent_state.ad_storage=true",
        "pixel_id=p2abc",
        "gdpr",
        "=1",
        'user={"consent": true}',
        "context.consent=x",
        "params.gcs=G111",
    ],
)
def test_consent_and_pixel_are_never_set(queues: Queues, assignment: str) -> None:
    assert queues.run("dlq", "replay", "--set", assignment).exit_code == 2


def test_set_never_overwrites_what_speaks_of_consent(queues: Queues) -> None:
    queues.dead_letter(purchase(1, context={"consent": {"ad_storage": "granted"}}))
    result = queues.run("dlq", "replay", "--set", "context=1")
    assert result.exit_code == 1
    assert "consent" in result.stdout
    assert len(queues.waiting("dead-letter")) == 1


def test_edit_opens_each_in_the_editor(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    queues.dead_letter({**purchase(1), "event": "purchace"}, "invalid_event")
    editor = Path("editor.sh")
    editor.write_text('#!/bin/sh\nsed -i s/purchace/purchase/ "$1"\ntouch -d \'+5 seconds\' "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor.resolve()))
    monkeypatch.delenv("VISUAL", raising=False)
    result = queues.run("dlq", "replay", "--edit")
    assert result.exit_code == 0, result.output
    (message,) = queues.waiting("remainder")
    assert json.loads(message.data)["event"] == "purchase"


def test_edit_without_terminal_and_editor_is_wrong_usage(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    result = queues.run("dlq", "replay", "--edit")
    assert result.exit_code == 2
    assert "set EDITOR" in result.output


@pytest.mark.parametrize("editor", ["false", "no-such-editor"])
def test_editor_that_fails_is_a_sentence_and_nothing_is_sent(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, editor: str
) -> None:
    queues.dead_letter(purchase(1))
    monkeypatch.setenv("EDITOR", editor)
    monkeypatch.delenv("VISUAL", raising=False)
    result = queues.run("dlq", "replay", "--edit")
    assert result.exit_code == 1
    assert f"Error: {editor}: Editing failed" in result.output
    assert "Traceback" not in result.output
    assert queues.waiting("remainder") == []
    assert len(queues.waiting("dead-letter")) == 1


@pytest.mark.parametrize("script", ["s/granted/denied/", "s/^/,/", "s/.*//", "s/o8z6j/p2abc/"])
def test_edit_that_breaks_an_event_or_its_consent_keeps_it(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    queues.dead_letter(purchase(1, pixel_id="o8z6j", consent={"ad_storage": "granted"}))
    editor = Path("editor.sh")
    editor.write_text(f"#!/bin/sh\nsed -i '{script}' \"$1\"\ntouch -d '+5 seconds' \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor.resolve()))
    monkeypatch.delenv("VISUAL", raising=False)
    assert queues.run("dlq", "replay", "--edit").exit_code == 1
    assert queues.waiting("remainder") == []
    assert len(queues.waiting("dead-letter")) == 1


def test_replay_from_an_export_needs_no_subscription(queues: Queues) -> None:
    for number in range(3):
        queues.dead_letter(purchase(number), note="a;;b")
    queues.publish(b"\xff\x00", {"xcapi_reason": "invalid_message"})
    assert queues.run("dlq", "export", "dead.jsonl").exit_code == 0
    assert Path("dead.jsonl").stat().st_mode & 0o077 == 0
    lines = [json.loads(line)["message"] for line in Path("dead.jsonl").read_text().splitlines()]
    assert sorted(lines[0]) == ["attributes", "data", "messageId", "publishTime"]
    assert (
        base64.b64decode(next(line for line in lines if "xcapi_note" not in line["attributes"])["data"]) == b"\xff\x00"
    )
    result = queues.run("dlq", "replay", "--from", "dead.jsonl", "--json")
    assert result.exit_code == 1
    counts = summary(result)
    assert [counts[name] for name in ("chosen", "published", "acked", "left")] == [4, 3, 0, 4]
    assert counts["confirmed_line"] == 4
    messages = queues.waiting("remainder")
    assert {message.attributes["xcapi_note"] for message in messages} == {"a;;b"}
    assert len(queues.waiting("dead-letter")) == 4
    assert queues.run("dlq", "export", "dead.jsonl").exit_code == 1


def test_replay_to_another_topic(queues: Queues) -> None:
    queues.dead_letter(purchase(1))
    config = {name: value for name, value in queues.configuration().items() if name != "remainder_topic"}
    assert queues.run("dlq", "replay", config=config).exit_code == 2
    short = queues.topic("remainder").rpartition("/")[2]
    assert queues.run("dlq", "replay", "--topic", short, config=config).exit_code == 0
    assert len(queues.waiting("remainder")) == 1


def test_topic_that_is_not_there_is_a_sentence_and_nothing_is_lost(queues: Queues) -> None:
    queues.dead_letter(purchase(1))
    result = queues.run("dlq", "replay", "--topic", "nowhere")
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.output
    assert len(queues.waiting("dead-letter")) == 1


def test_dead_letter_that_comes_back_while_it_runs_is_not_sent_in_circles(queues: Queues) -> None:
    """Here the dead letters are published to the very topic that they come from."""
    for number in range(20):
        queues.dead_letter(purchase(number))
    result = queues.run("dlq", "replay", "--topic", queues.topic("dead-letter"), "--json")
    assert (result.exit_code, summary(result)["published"], summary(result)["left"]) == (0, 20, 20)
    assert {message.attributes["xcapi_replays"] for message in queues.waiting("dead-letter")} == {"1"}
