"""`xcapi trace` on files of log lines, and on Cloud Logging by the official client."""

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli.google_services import LocalLogging
from tests.cli.queues import PROJECT, Queues, purchase
from tests.services import emulator
from xcapi_core import logs
from xcapi_core.cli.log.lines import LogFile, parse_time
from xcapi_core.cli.trace.command import trace
from xcapi_core.cli.trace.findings import Finding, Wanted

__all__ = ["emulator"]

DEBUG_ID = "8c87b489-ce35-4f2e-9f39-f80e282cb2e8"
NOW = datetime(2026, 4, 20, 12, 0, tzinfo=UTC)


def digest(conversion_id: str, pixel_id: str = "o8z6j") -> str:
    """Name a conversion as docs/privacy.md says: the first 16 hex digits of SHA-256 over `pixel_id|conversion_id`."""
    return hashlib.sha256(f"{pixel_id}|{conversion_id}".encode()).hexdigest()[:16]


DELIVERED: dict[str, object] = {
    "event": "batch.delivered",
    "pixel_id": "o8z6j",
    "debug_id": DEBUG_ID,
    "conversion_digests": [digest("10001"), digest("10002")],
}
REJECTED: dict[str, object] = {
    "event": "event.rejected",
    "reason": "rejected",
    "pixel_id": "o8z6j",
    "conversion_digests": [digest("10003")],
}
AGAIN: dict[str, object] = {
    "event": "delivery.settled",
    "already_delivered": 1,
    "conversion_digests": [digest("10001")],
}
PLAIN: dict[str, object] = DELIVERED | {"conversion_digests": [], "conversion_ids": ["20001"]}
LINES: list[dict[str, object]] = [DELIVERED, REJECTED, AGAIN, PLAIN, {"event": "service.stopping"}]


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(trace, arguments, input=stdin)


def findings(result: Result) -> list[dict[str, Any]]:
    *lines, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert last["summary"]["findings"] == len(lines)
    return lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "function.log"
    file.write_text("\n".join(json.dumps(line | {"time": NOW.isoformat()}) for line in LINES) + "\nnot of ours\n")
    return file


def test_each_end_is_found_by_digest_in_a_file(log: Path) -> None:
    result = run("10001", "10003", "--pixel", "o8z6j", "--log", str(log), "--json")
    assert result.exit_code == 0, result.output
    assert [(found["conversion_id"], found["end"]) for found in findings(result)] == [
        ("10001", "delivered"),
        ("10003", "dead_lettered"),
        ("10001", "already_delivered"),
    ]
    first, second, _ = findings(result)
    assert (first["debug_id"], first["pixel_id"], first["time"]) == (DEBUG_ID, "o8z6j", "2026-04-20T12:00:00+00:00")
    assert second["reason"] == "rejected"


def test_plain_ids_are_found_too_and_standard_input_is_a_file(log: Path) -> None:
    result = run("20001", "--pixel", "other", "--log", "-", "--json", stdin=log.read_text())
    assert [found["end"] for found in findings(result)] == ["delivered"]


def test_exported_entries_are_read(tmp_path: Path) -> None:
    file = tmp_path / "exported.json"
    entries = [{"jsonPayload": line, "timestamp": "2026-04-20T12:00:00.123456789Z"} for line in LINES]
    file.write_text(json.dumps(entries, indent=2))
    result = run("10002", "--pixel", "o8z6j", "--log", str(file), "--json")
    assert findings(result)[0]["time"] == "2026-04-20T12:00:00.123456+00:00"


def test_not_found_is_said_with_what_it_can_mean(log: Path) -> None:
    result = run("10001", "99999", "--pixel", "o8z6j", "--log", str(log))
    assert result.exit_code == 1
    assert "99999" in result.stderr
    assert "10001" not in result.stderr
    assert "no consent" in result.stderr
    assert "delivered" in result.stdout


@pytest.mark.parametrize("personal", ["jane@example.com", "ab" * 32])
def test_id_that_the_log_never_names_is_said_to_be_one(personal: str, log: Path) -> None:
    assert "may be personal" in run(personal, "--pixel", "o8z6j", "--log", str(log)).stderr
    assert "may be personal" not in run("99999", "--pixel", "o8z6j", "--log", str(log)).stderr


def test_empty_id_is_wrong_usage(log: Path) -> None:
    assert run("10001", "", "--pixel", "o8z6j", "--log", str(log)).exit_code == 2


def test_other_pixel_finds_nothing(log: Path) -> None:
    result = run("10001", "--pixel", "p9q7k", "--log", str(log), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"summary": {"findings": 0, "not_found": ["10001"]}}


def test_file_without_a_line_of_the_function_is_told(tmp_path: Path) -> None:
    file = tmp_path / "other.txt"
    file.write_text("nothing\nof ours\n")
    result = run("10001", "--pixel", "o8z6j", "--log", str(file))
    assert result.exit_code == 1
    assert "holds no lines of the function's log" in result.output


def test_pixel_has_to_be_known(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XCAPI_CONFIG", "XCAPI_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert run("10001", "--log", str(log)).exit_code == 2


def test_query_for_the_logs_explorer_is_printed_and_nothing_searched() -> None:
    result = run('a"b', "--pixel", "o8z6j", "--filter")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        'resource.type="cloud_run_revision"',
        '(jsonPayload.conversion_ids=("a\\"b") OR jsonPayload.conversion_digests=("' + digest('a"b') + '"))',
    ]


@pytest.fixture
def cloud_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalLogging]:
    now = datetime.now(UTC)
    lines = [(now - timedelta(hours=hours), line) for hours, line in zip((72, 2, 1, 1), LINES, strict=False)]
    with LocalLogging(lines) as service:
        monkeypatch.setenv("CLOUD_LOGGING_EMULATOR_HOST", service.address)
        yield service


def test_cloud_logging_is_searched_as_far_back_as_told(cloud_log: LocalLogging) -> None:
    arguments = ("10001", "--pixel", "o8z6j", "--project", "my-project", "--json")
    assert [found["end"] for found in findings(run(*arguments))] == ["delivered", "already_delivered"]
    assert [found["end"] for found in findings(run(*arguments, "--since", "1d"))] == ["already_delivered"]
    assert list(cloud_log.requests[0].resource_names) == ["projects/my-project"]


def test_more_findings_than_a_page_are_all_told(cloud_log: LocalLogging) -> None:
    cloud_log.lines += [(datetime.now(UTC), DELIVERED)] * 2_500
    result = run("10002", "--pixel", "o8z6j", "--project", "my-project", "--json")
    assert len(findings(result)) == 2_501


def test_cloud_logging_that_nobody_reaches_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_LOGGING_EMULATOR_HOST", "127.0.0.1:9")
    result = run("10001", "--pixel", "o8z6j", "--project", "my-project")
    assert result.exit_code == 1
    assert "The log of my-project" in result.output
    assert "Traceback" not in result.output


@pytest.mark.e2e
def test_dead_letters_are_searched_also_those_that_name_no_conversion(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pub/Sub's own have no attributes of ours, those of many events no conversion_id: both are read."""
    queues.dead_letter(purchase(1), "rejected", conversion_id="1", failed_at="2026-04-20T12:00:00.000Z")
    queues.dead_letter([purchase(2), purchase(3, email="none")], "unauthorized", event_count="2")
    queues.dead_letter({**purchase(4), "pixel_id": "p2abc"}, None)
    queues.dead_letter(purchase(9), "rejected", conversion_id="9")
    with LocalLogging() as service:
        monkeypatch.setenv("CLOUD_LOGGING_EMULATOR_HOST", service.address)
        result = queues.run("trace", "1", "2", "3", "4", "--project", PROJECT, "--json")
    assert result.exit_code == 0, result.output
    found = {one["conversion_id"]: one for one in findings(result)}
    assert {name: (one["end"], one["reason"], one["pixel_id"]) for name, one in found.items()} == {
        "1": ("dead_lettered", "rejected", "o8z6j"),
        "2": ("dead_lettered", "unauthorized", "o8z6j"),
        "3": ("dead_lettered", "unauthorized", "o8z6j"),
        "4": ("dead_lettered", "exhausted", "p2abc"),
    }
    assert found["1"]["time"] == "2026-04-20T12:00:00+00:00"
    assert len(queues.waiting("dead-letter")) == 4


@pytest.mark.e2e
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_ctrl_c_says_what_was_found_and_of_nothing_that_it_is_not_there(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    queues.dead_letter(purchase(1), "rejected", conversion_id="1")
    look = Wanted.in_dead_letter

    def interrupted(*arguments: Any) -> Finding | None:
        os.kill(os.getpid(), signal.SIGINT)
        return look(*arguments)

    monkeypatch.setattr(Wanted, "in_dead_letter", interrupted)
    with LocalLogging() as service:
        monkeypatch.setenv("CLOUD_LOGGING_EMULATOR_HOST", service.address)
        result = queues.run("trace", "1", "2", "--project", PROJECT, *more)
    assert result.exit_code == 130
    assert "rejected" in result.stdout
    assert "Not found" not in result.stderr
    if more:
        assert json.loads(result.stdout.splitlines()[-1]) == {"summary": {"findings": 1, "complete": False}}


def test_lines_are_those_that_the_function_writes(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    logs.emit_naming("INFO", "batch.delivered", [("o8z6j", "10001")], "digest", pixel_id="o8z6j", debug_id=DEBUG_ID)
    file = tmp_path / "function.log"
    file.write_text(capfd.readouterr().out)
    result = run("10001", "--pixel", "o8z6j", "--log", str(file), "--json")
    assert [found["end"] for found in findings(result)] == ["delivered"]


@pytest.mark.parametrize("text", ["", "yesterday", None, 5, "2026-04-20T12:00:00"])
def test_time_that_is_none_is_none(text: object) -> None:
    assert parse_time(text) is None


def test_odd_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "odd.log"
    file.write_bytes(b'{"event": "a"}\n\n[]\n{"event": 5}\n\xff\n"x"\n')
    with file.open("rb") as stream:
        log = LogFile(stream)
        assert [line.event for line in log if line.event] == ["a"]
    assert log.passed_over == 4
