"""`xcapi publish` into Google's Pub/Sub emulator."""

import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.queues import Queues, hours_ago, purchase, summary
from xcapi_core.cli.files import Chunk
from xcapi_core.cli.publish import checking, command
from xcapi_core.cli.publish.units import packs_of
from xcapi_core.settings.reader import read_settings

pytestmark = pytest.mark.e2e

CONFIGURATION = {
    "dead_letter_topic": "file:dead-letters.jsonl",
    "pixels": {"o8z6j": {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21"}}},
}
TOPIC = "remainder"  # any topic with one subscription


def write(name: str, *events: object, text: str | None = None) -> str:
    Path(name).write_text(text or "".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return name


def publish(queues: Queues, *arguments: str, stdin: str | bytes = "") -> Any:
    return queues.run("publish", *arguments, "--topic", queues.topic(TOPIC), "--json", stdin=stdin)


def events_of(messages: list[Any]) -> list[dict[str, Any]]:
    read = [json.loads(message.data) for message in messages]
    return [event for one in read for event in (one if isinstance(one, list) else [one])]


def test_lines_are_packed_and_all_arrive(queues: Queues) -> None:
    file = write("events.jsonl", *(purchase(number) for number in range(250)))
    result = publish(queues, file, "--events-per-message", "100", "--attribute", "shop=7", "--format", "x")
    assert result.exit_code == 0, result.output
    assert summary(result) | {"file": ""} == {
        "events": 250,
        "messages": 3,
        "confirmed_line": 250,
        "left_out": 0,
        "file": "",
        "dry_run": False,
    }
    messages = queues.waiting(TOPIC)
    assert sorted(len(json.loads(message.data)) for message in messages) == [50, 100, 100]
    assert {event["order_id"] for event in events_of(messages)} == set(range(250))
    assert dict(messages[0].attributes) == {"shop": "7", "format": "x"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("array.json", json.dumps([purchase(1), purchase(2), purchase(3)], indent=1)),
        (
            "table.csv",
            "Event,Order_ID,email\npurchase,1,a@example.com\npurchase,2,b@example.com\npurchase,3,c@example.com\n",
        ),
        ("lines.jsonl", "\n".join(json.dumps(purchase(number)) for number in (1, 2, 3))),
    ],
)
def test_each_way_to_write_events_counts_its_own_lines(queues: Queues, name: str, text: str) -> None:
    result = publish(queues, write(name, text=text), "--from-line", "2")
    assert result.exit_code == 0, result.output
    assert (summary(result)["events"], summary(result)["confirmed_line"]) == (2, 3)
    assert [int(event["order_id"]) for event in events_of(queues.waiting(TOPIC))] == [2, 3]


def test_standard_input_and_gzip_are_files(queues: Queues) -> None:
    data = gzip.compress(json.dumps(purchase(1)).encode())
    assert publish(queues, "-", stdin=data).exit_code == 0
    assert [event["order_id"] for event in events_of(queues.waiting(TOPIC))] == [1]


def test_nothing_is_sent_while_anything_is_wrong(queues: Queues) -> None:
    file = write("events.jsonl", purchase(1), {"event": "purchase", "email": "nobody"}, purchase(3), {"event": "nope"})
    result = publish(queues, file)
    assert result.exit_code == 1
    assert "2 of 4 cannot be published, so nothing was" in result.output
    assert [summary(result)[name] for name in ("events", "messages", "confirmed_line")] == [0, 0, 0]
    assert f"{file}:2" in result.output
    assert queues.waiting(TOPIC) == []
    result = publish(queues, file, "--skip-invalid")
    assert (result.exit_code, summary(result)["events"], summary(result)["left_out"]) == (0, 2, 2)


def test_what_grows_old_while_others_are_sent_is_not_left_out_unsaid() -> None:
    """Checked as young enough, it is sent, however long those before it take: both passes have one time."""
    settings = read_settings(json.dumps(CONFIGURATION))
    first = checking.Checker(settings, {}, allow_old=False)
    young = (first.now - checking.OLD_AFTER + timedelta(milliseconds=1)).isoformat()
    line = unit(1, json.dumps(purchase(1, time=young)).encode())
    time.sleep(0.01)
    assert first.check(line).problem == ""
    assert checking.Checker(settings, {}, allow_old=False).check(line).is_old


def test_ctrl_c_before_anything_is_sent_says_so(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("events.jsonl", *(purchase(number) for number in range(10)))
    check = checking.Checker.check

    def press(checker: checking.Checker, checked: Chunk) -> checking.Checked:
        os.kill(os.getpid(), signal.SIGINT)
        return check(checker, checked)

    monkeypatch.setattr(checking.Checker, "check", press)
    result = publish(queues, file, "--from-line", "5")
    assert result.exit_code == 130
    assert (summary(result)["events"], summary(result)["confirmed_line"]) == (0, 4)
    assert queues.waiting(TOPIC) == []


def test_ctrl_c_in_a_dry_run_says_how_far_it_came(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("events.jsonl", *(purchase(number) for number in range(10)))

    def pressed(*arguments: Any) -> Iterator[Any]:
        yield from packs_of(*arguments)
        os.kill(os.getpid(), signal.SIGINT)
        yield from packs_of(*arguments)

    monkeypatch.setattr(command, "packs_of", pressed)
    result = queues.run("publish", file, "--topic", "events", "--events-per-message", "1", "--dry-run")
    assert result.exit_code == 130
    assert "Stopped. So far: " in result.output


def test_what_x_may_count_twice_needs_a_word(queues: Queues) -> None:
    file = write("events.jsonl", purchase(1, time=hours_ago(49)), purchase(2))
    result = publish(queues, file)
    assert (result.exit_code, "--allow-old" in result.output) == (1, True)
    assert summary(publish(queues, file, "--allow-old"))["events"] == 2


def test_dry_run_publishes_nothing(queues: Queues) -> None:
    result = publish(queues, write("events.jsonl", purchase(1)), "--dry-run")
    assert summary(result)["messages"] == 1
    assert queues.waiting(TOPIC) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing in it"),
        ("[]", "no event"),
        ('{"events": []}', "no event"),
        ("[]\n[]\n", "no event"),
        ('{"event": "purchase",}', "line 1"),
        ('"only text"\n', "neither JSON"),
    ],
)
def test_file_without_events_is_a_sentence(queues: Queues, text: str, words: str) -> None:
    Path("events.jsonl").write_text(text)
    result = publish(queues, "events.jsonl")
    assert result.exit_code == 1
    assert words in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("attribute", ["shop", "googly=1", "=1", f"long={'x' * 1025}"])
def test_attribute_that_pubsub_does_not_take_is_wrong_usage(queues: Queues, attribute: str) -> None:
    assert publish(queues, write("events.jsonl", purchase(1)), "--attribute", attribute).exit_code == 2


def test_topic_that_is_not_there_is_a_sentence(queues: Queues) -> None:
    write("events.jsonl", purchase(1))
    result = queues.run("publish", "events.jsonl", "--topic", "no-such-topic", "--json")
    assert result.exit_code == 1
    assert "NOT_FOUND" in result.output
    assert json.loads(result.stdout.splitlines()[0])["summary"]["confirmed_line"] == 0


def test_dead_letters_keep_their_attributes(queues: Queues) -> None:
    attributes = {"xcapi_reason": "rejected", "shop": "7", "googclient_schemaencoding": "JSON"}
    message = {"data": "eyJldmVudCI6ICJwdXJjaGFzZSIsICJlbWFpbCI6ICJhQGV4YW1wbGUuY29tIn0=", "attributes": attributes}
    result = publish(queues, write("dead.jsonl", {"message": message | {"messageId": "1"}}))
    assert result.exit_code == 0, result.output
    (found,) = queues.waiting(TOPIC)
    assert dict(found.attributes) == {"xcapi_reason": "rejected", "shop": "7", "xcapi_schema_encoding": "JSON"}


def test_large_events_are_packed_by_bytes(queues: Queues) -> None:
    events = [purchase(number, description="x" * 3_000_000) for number in range(7)]
    result = publish(queues, write("events.jsonl", *events))
    assert result.exit_code == 0, result.output
    assert summary(result)["messages"] == 3
    assert {event["order_id"] for event in events_of(queues.waiting(TOPIC))} == set(range(7))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_confirmed_line_is_where_to_go_on(queues: Queues, number: signal.Signals) -> None:
    """Nothing is lost, whatever ends the command; after Ctrl-C at most what was on its way is there twice."""
    total = 3_000
    file = write("events.jsonl", *(purchase(order) for order in range(1, total + 1)))
    Path("config.json").write_text(json.dumps(queues.configuration()))
    command = [sys.executable, "-m", "xcapi_core", "publish", file, "--topic", queues.topic(TOPIC), "--json"]
    process = subprocess.Popen(
        [*command, "--rate", "100", "--events-per-message", "10"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )
    arrived: set[int] = set()
    try:
        while not arrived:  # the suite's time-out ends this, where nothing comes
            arrived |= {event["order_id"] for event in events_of(queues.waiting(TOPIC))}
        process.send_signal(number)
        output, _ = process.communicate(timeout=200)
    finally:
        process.kill()
    arrived |= {event["order_id"] for event in events_of(queues.waiting(TOPIC))}
    assert len(arrived) < total
    if number is signal.SIGKILL:
        return
    assert process.returncode == 130
    confirmed = json.loads(output.splitlines()[-1])["summary"]["confirmed_line"]
    assert set(range(1, confirmed + 1)) <= arrived
    result = publish(queues, file, "--from-line", str(confirmed + 1))
    assert summary(result)["confirmed_line"] == total
    later = {event["order_id"] for event in events_of(queues.waiting(TOPIC))}
    assert arrived | later == set(range(1, total + 1))
    assert len(arrived & later) <= 8 * 100


def unit(position: int, data: bytes = b'{"event":"purchase"}', **more: Any) -> Chunk:
    return Chunk(position, data, position=position, **more)


def test_position_is_whole_only_when_all_of_it_is_packed() -> None:
    units = iter([(unit(1), 1), (unit(2), 1), (unit(2), 1), (unit(2), 1), (unit(3), 1)])
    assert [(pack.events, pack.through) for pack in packs_of(units, {}, 2)] == [(2, 1), (2, 2), (1, 3)]


def test_formats_do_not_share_a_message() -> None:
    ga4 = b'{"name":"purchase","params":{}}'
    units = iter([(unit(1), 1), (unit(2, ga4), 1), (unit(3, ga4), 1), (unit(4), 1)])
    assert [(pack.events, pack.through) for pack in packs_of(units, {}, 100)] == [(1, 1), (2, 3), (1, 4)]


def test_memory_stays_flat() -> None:
    packs = packs_of(((unit(number), 1) for number in itertools.count(1)), {}, 100)
    assert [pack.through for pack in itertools.islice(packs, 3)] == [100, 200, 300]
