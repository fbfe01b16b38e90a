"""`xcapi validate` as people and scripts use it."""

import base64
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from tests.cli.terminal import shown_until_the_end
from tests.events.samples import SHAPES
from xcapi_core.cli.files import read_chunks
from xcapi_core.cli.validate.command import validate
from xcapi_core.cli.validate.masking import masked
from xcapi_core.cli.validate.output import Bar
from xcapi_core.cli.validate.tally import Tally
from xcapi_core.cli.validate.verdicts import DROPPED, judge
from xcapi_core.events.drops import Drop
from xcapi_core.settings.reader import read_settings

ROOT = Path(__file__).resolve().parents[3]
CONFIG = {
    "dead_letter_topic": "file:dead-letters.jsonl",
    "default_pixel": "o8z6j",
    "pixels": {
        "o8z6j": {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21"}},
        "p2abc": {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-p2abc-1"}},
    },
}
GOOD = {"event": "purchase", "order_id": 1, "email": "jane@example.com", "time": "2026-04-20T12:00:00Z"}
PERSONAL = (
    "jane",
    "23opevjt88psuo13",
    "203.0.113",
    "Macintosh",
    "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
)


@pytest.fixture(autouse=True)
def configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XCAPI_CONFIG", json.dumps(CONFIG))
    monkeypatch.delenv("XCAPI_CONFIG_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return iter(())


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(validate, arguments, input=stdin)


def lines_of(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def write(name: str, *events: object) -> str:
    text = "".join((event if isinstance(event, str) else json.dumps(event)) + "\n" for event in events)
    data = text.encode()
    Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return name


def test_every_dialect_shows_the_same_conversion_with_its_identifiers_masked() -> None:
    file = write("sales.jsonl", *(make(1) for _, make in SHAPES.values()))
    result = run("--json", file)
    assert result.exit_code == 0, result.output
    *verdicts, summary = lines_of(result)
    assert [verdict["format"] for verdict in verdicts] == [format_ for format_, _ in SHAPES.values()]
    assert len({json.dumps(verdict["conversion"]) for verdict in verdicts}) == 1
    assert verdicts[0]["conversion"]["identifiers"] == [
        {"twclid": "23op…", "hashed_email": "5805f667…", "ip_address": "203.…", "user_agent": "Mozilla/5.0…"}
    ]
    assert summary["summary"]["ends"] == {"conversion": {"tw-o8z6j-o8z21": 5}}
    assert not [word for word in PERSONAL if word in result.output]


def test_each_end_is_shown_with_its_reason_and_counted() -> None:
    body = {
        "client_id": "1",
        "user_data": {"email_address": "jane@example.com"},
        "events": [{"name": "scroll"}, {"name": "purchase", "params": {"value": "x"}}],
    }
    file = write(
        "mixed.json",
        {**GOOD, "phone": "020 7946 0018"},
        body,
        {**GOOD, "consent": False},
        "no JSON",
        {"event": "purchase"},
    )
    result = run("--json", file)
    assert result.exit_code == 1
    *verdicts, summary = lines_of(result)
    assert [(v["line"], v.get("event_index"), v["end"], v["why"]) for v in verdicts] == [
        (1, None, "conversion", "tw-o8z6j-o8z21"),
        (2, 0, "skipped", "unwanted: scroll"),
        (2, 1, "invalid", "params.value: text that is no amount"),
        (3, None, "skipped", "no consent"),
        (4, None, "unreadable", "neither an object nor an array"),
        (5, None, "invalid", "identifiers: no identifier"),
    ]
    assert verdicts[0]["dropped"] == ["phone_without_region"]
    assert summary["summary"]["events"] == 6
    assert summary["summary"]["dropped"] == {"phone_without_region": 1}
    plain = run(file)
    assert plain.exit_code == 1
    assert "mixed.json:2[1]  invalid  params.value: text that is no amount at pixel o8z6j" in plain.stdout
    assert "dropped phone_without_region: a national phone number, without default_phone_region" in plain.stdout
    assert plain.stdout.splitlines()[-1] == "6 events, 3 that cannot be sent."
    assert "\x1b" not in plain.stdout
    assert not [line for line in plain.stdout.splitlines() if line != line.rstrip()]
    assert not [word for word in PERSONAL if word in plain.output]


def test_event_too_old_is_shown_and_counted_as_one_kind() -> None:
    Path("config.json").write_text(json.dumps(CONFIG | {"max_event_age_hours": 24}))
    result = run("--json", "--config", "config.json", write("old.jsonl", GOOD, {**GOOD, "time": "2026-04-19"}))
    assert result.exit_code == 1
    assert lines_of(result)[-1]["summary"]["ends"] == {"expired": {"older than max_event_age_hours": 2}}


def test_quiet_shows_only_what_cannot_be_sent() -> None:
    file = write("a.jsonl", GOOD, {"event": "purchase"}, {**GOOD, "consent": False})
    assert [verdict.get("end") for verdict in lines_of(run("--json", "--quiet", file))] == ["invalid", None]
    assert run("--quiet", file).stdout.splitlines()[0].startswith("a.jsonl:2  invalid")


def test_all_well_is_0_skipped_ones_too() -> None:
    result = run(write("a.jsonl", GOOD, {**GOOD, "consent": False}))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "2 events.")


@pytest.mark.parametrize(
    "fields",
    [
        {"order_id": "jane@example.com"},
        {"order_id": "8c87b489ce352f2e9f39f80e282cb2e8" * 2},
        {"event_source_url": "https://shop.example/?e=jane@example.com&twclid=23opevjt88psuo13lu8d020qkn"},
        {"event_source_url": "https://shop.example/#twclid=23opevjt88psuo13lu8d020qkn"},
        {"event_source_url": "https://shop.example/of/jane%40example.com"},
        {"description": "for jane@example.com"},
        {"description": "j@x.de"},
        {"contents": [{"content_id": "jane@example.com"}]},
        {"event": None, "event_id": "tw-o8z6j-jane@example.com"},
    ],
    ids=str,
)
def test_nobodys_address_or_digest_is_shown_wherever_it_stands(fields: dict[str, object]) -> None:
    file = write("a.jsonl", {**GOOD, **fields})
    for shown in (run(file), run("--json", file)):
        assert "a.jsonl" in shown.stdout
        assert not re.search(r"jane(@|%40)example|j@x|23opevjt|e282cb2e88c87b489", shown.stdout)


def test_nothing_of_an_event_steers_the_terminal() -> None:
    file = write("a.jsonl", {**GOOD, "description": "\x9b31m red \u202e turned"})
    for shown in (run(file), run("--json", file)):
        assert not {"\x9b", "\u202e"} & set(shown.stdout)


def test_empty_file_is_an_error_and_said_to_be_empty() -> None:
    result = run(write("a.jsonl"))
    assert (result.exit_code, result.stdout.splitlines()[0]) == (
        1,
        "a.jsonl  not read to its end  nothing in it: it is empty",
    )


@pytest.mark.parametrize("text", ["[]", " [\n] ", "[]\n[]\n", '{"events": []}', '{"conversions": []}'])
def test_file_of_empty_lists_is_an_error_too(text: str) -> None:
    Path("a.json").write_text(text)
    result = run("a.json", write("b.jsonl", GOOD))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "a.json  not read to its end  nothing in it: no event"
    assert result.stdout.splitlines()[-1] == "1 event."


def test_json_that_does_not_parse_has_its_place_and_cause() -> None:
    Path("a.json").write_text('[\n {"event": "purchase"},\n {"event": "purchase", }\n]\n')
    details = [verdict["detail"] for verdict in lines_of(run("--json", "a.json"))[:2]]
    assert ["a trailing comma" in detail for detail in details] == [False, True]
    assert "line 3, column " in details[1]
    Path("b.jsonl").write_text(json.dumps(GOOD) + "\n{'event': 'purchase'}\n")
    assert "line 2, column 2: single quotes" in run("b.jsonl").stdout


def test_dead_letter_in_a_file_is_read_with_its_own_attributes() -> None:
    bare = {key: value for key, value in GOOD.items() if key not in ("time", "order_id")}
    message = {
        "data": base64.urlsafe_b64encode(json.dumps(bare).encode()).decode(),
        "attributes": {
            "pixel_id": "p2abc",
            "xcapi_reason": "rejected",
            "xcapi_conversion_id": "kept",
            "xcapi_publish_time": "2026-04-20T12:00:00.000Z",
        },
    }
    Path("pulled.json").write_text(json.dumps([{"ackId": "a", "message": message}], indent=2))
    conversion = lines_of(run("--json", "pulled.json"))[0]["conversion"]
    assert (conversion["conversion_id"], conversion["event_id"]) == ("kept", "tw-p2abc-1")
    assert conversion["conversion_time"] == "2026-04-20T12:00:00.000Z"


def test_standard_input_compressed_or_not_and_several_files() -> None:
    data = json.dumps(GOOD).encode()
    assert lines_of(run("--json", "-", stdin=data))[-1]["summary"]["ok"]
    assert lines_of(run("--json", "-", stdin=gzip.compress(data)))[-1]["summary"]["ok"]
    several = run("--json", write("a.jsonl", GOOD), write("b.jsonl.gz", GOOD))
    assert [verdict.get("file") for verdict in lines_of(several)] == ["a.jsonl", "b.jsonl.gz", None]


def test_format_and_pixel_are_as_a_messages_attributes() -> None:
    bare = {"name": "purchase", "twclid": "c1"}
    assert run("--json", "-", stdin=json.dumps(bare).encode()).exit_code == 1
    result = run("--json", "--format", "ga4", "--pixel", "p2abc", "-", stdin=json.dumps(bare).encode())
    assert (result.exit_code, lines_of(result)[0]["conversion"]["event_id"]) == (0, "tw-p2abc-1")


def test_file_that_is_damaged_leaves_the_others_to_be_read() -> None:
    Path("bad.jsonl.gz").write_bytes(gzip.compress(b'{"event": "purchase"}\n' * 2000)[:-30])
    result = run("--json", "bad.jsonl.gz", write("a.jsonl", GOOD))
    assert result.exit_code == 1
    *_, trouble, verdict, summary = lines_of(result)
    assert "damaged" in trouble["problem"]
    assert verdict["end"] == "conversion"
    assert summary["summary"]["files_unread"] == 1
    assert "not read to its end" in run("bad.jsonl.gz").stdout


@pytest.mark.parametrize(
    "arguments",
    [(), ("nowhere.jsonl",), ("--format", "y", "-"), ("--nope", "-"), ("--pixel", "zzz", "-"), ("--config", "no", "-")],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments, stdin=b"").exit_code == 2


def test_no_configuration_teaches_the_least_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XCAPI_CONFIG")
    result = run("-", stdin=b"{}")
    assert result.exit_code == 2
    example = result.stderr.partition("ids in it:\n")[2]
    assert read_settings(example).pixels
    Path("config.json").write_text(example)
    assert run("--config", "config.json", write("a.jsonl", GOOD)).exit_code == 0
    monkeypatch.setenv("XCAPI_CONFIG_FILE", "config.json")
    assert run(write("a.jsonl", GOOD)).exit_code == 0


def test_bad_configuration_lists_every_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config.json").write_text('{"pixels": {}, "consent": "maybe"}')
    for arguments in (("--config", "config.json", "-"), ("-",)):
        monkeypatch.setenv("XCAPI_CONFIG", Path("config.json").read_text())
        result = run(*arguments, stdin=b"{}")
        assert result.exit_code == 1
        assert all(word in result.stderr for word in ("dead_letter_topic", "pixels", "consent"))


def test_reader_that_goes_away_ends_it_quietly() -> None:
    write("many.jsonl", *([GOOD] * 5_000))
    command = f"{sys.executable} -m xcapi_core validate {Path('many.jsonl').resolve()} | head -1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S602
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1


@contextmanager
def on_a_terminal(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the command on a terminal of its own; the number is our side of it."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "xcapi_core", "validate", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        yield process, ours


def test_terminal_gets_colours() -> None:
    file = str(Path(write("a.jsonl", GOOD, {"event": "purchase"})).resolve())
    with on_a_terminal(file) as (process, ours):
        text = shown_until_the_end(ours).decode()
    assert process.returncode == 1
    assert "\x1b[32mconversion" in text
    assert "2 events, 1 that cannot be sent." in text


def test_events_that_somebody_types_are_asked_for_and_no_bar_writes_over_them() -> None:
    with on_a_terminal("-") as (process, ours):
        output = b""
        while b"Ctrl-D" not in output:
            output += os.read(ours, 1024)
        os.write(ours, json.dumps(GOOD).encode() + b"\n\x04")
        output += shown_until_the_end(ours)
    assert process.returncode == 0
    assert "events from the terminal" in output.decode()
    assert "bytes" not in output.decode()  # as a bar counts them


@pytest.mark.parametrize("size", [1_000, None])
def test_bar_shows_how_far_a_long_file_is_read(size: int | None) -> None:
    screen = io.StringIO()
    with Bar(Console(file=screen, force_terminal=True, width=100), wanted=True) as bar:
        bar.begin("first.jsonl", 10)
        bar.begin("long.jsonl", size)
        bar.advance(500, 1_234)
    assert "long.jsonl" in screen.getvalue()
    assert "1,234 events" in screen.getvalue()


def test_bar_is_silent_where_nobody_wants_it() -> None:
    screen = io.StringIO()
    with Bar(Console(file=screen, force_terminal=True), wanted=False) as bar:
        bar.begin("short.jsonl", 10)
        bar.advance(5, 1)
    assert screen.getvalue() == ""


class _Endless(io.RawIOBase):
    """As many lines as asked for, made while they are read."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._rest = b""
        self._make = [make for _, make in SHAPES.values()]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._left and len(self._rest) < len(buffer):
            self._left -= 1
            self._rest += json.dumps(self._make[self._left % len(self._make)](self._left)).encode() + b"\n"
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _peak_bytes(count: int) -> int:
    settings = read_settings(json.dumps(CONFIG))
    tally = Tally()
    now = datetime.now(UTC)
    tracemalloc.start()
    for chunk in read_chunks(_Endless(count), "-", "auto"):  # type: ignore[arg-type]  # raw, and buffered there
        for verdict in judge(chunk, "-", settings, {}, now):
            tally.add(verdict)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tally.events == count
    return peak


def test_memory_stays_flat_however_many_lines() -> None:
    _peak_bytes(50)  # what is imported and cached on the way
    # An event that was kept would cost 200 bytes at least.
    assert _peak_bytes(1_000) < _peak_bytes(200) + 100_000


def test_every_code_of_what_is_dropped_has_its_words() -> None:
    assert set(DROPPED) == set(Drop)


def test_short_click_id_is_masked_as_a_whole() -> None:
    assert masked(b'{"identifiers":[{"twclid":"abcd"}]}') == {"identifiers": [{"twclid": "…"}]}
    assert masked(b'{"identifiers":7}') == {"identifiers": 7}


def test_summary_counts_no_more_kinds_than_it_can_hold() -> None:
    events = [{"event_name": f"scroll {n}", "params": {}} for n in range(300)]
    result = run("--json", "--format", "ga4", write("a.jsonl", *events))
    skipped = lines_of(result)[-1]["summary"]["ends"]["skipped"]
    assert (len(skipped), skipped["other reasons"], sum(skipped.values())) == (201, 100, 300)


@pytest.mark.parametrize("name", ["jane@example.com", "x" * 41, "<b>!", 7, None])
def test_name_of_an_unwanted_event_is_shown_only_if_it_is_one(name: object) -> None:
    result = run("--json", "--format", "segment", write("a.jsonl", {"type": "track", "event": name}))
    assert "jane" not in result.output
    assert lines_of(result)[0]["why"] in ("unwanted", "event: nothing", "unwanted: 7")


@pytest.mark.parametrize("field", ["event", "event_name"])
def test_nearly_the_name_of_an_event_is_told_the_name(field: str) -> None:
    result = run("--json", write("a.jsonl", {field: "Pruchase"}, {field: "jane@example.com"}))
    slip, other, _ = (line.get("detail", "") for line in lines_of(result))
    assert 'event_ids: purchase (did you mean "purchase"?); identifiers: ' in slip
    assert "did you mean" not in other
    assert "jane" not in result.output
