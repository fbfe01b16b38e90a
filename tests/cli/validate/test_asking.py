"""`xcapi validate --ask-x` against the sandbox in X's place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli.sandboxed import SECRETS, configuration
from xcapi_core.cli.validate import asking
from xcapi_core.cli.validate.command import validate
from xcapi_core.sandbox.server import SandboxServer

EMAIL = "jane@example.com"
GOOD = {"event": "purchase", "order_id": "order-10001", "email": EMAIL, "value": 72.05, "currency": "USD"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Do not wait between questions, but remember how long one would have."""
    waited: list[float] = []
    monkeypatch.setattr(asking, "sleep", waited.append)
    return waited


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


def run(sandbox: SandboxServer, folder: Path, *events: object, arguments: tuple[str, ...] = ("--yes",)) -> Result:
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    config = configuration(sandbox, folder)
    return CliRunner().invoke(validate, [str(file), "--config", str(config), "--ask-x", "--json", *arguments])


def replies(result: Result) -> list[dict[str, Any]]:
    return [found["asked_x"] for line in result.stdout.splitlines() if "asked_x" in (found := json.loads(line))]


def summary_at_the_end(result: Result) -> dict[str, Any]:
    (place,) = (index for index, line in enumerate(result.stdout.splitlines()) if "summary" in json.loads(line))
    assert place == len(result.stdout.splitlines()) - 1
    summary: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])["summary"]
    return summary


def test_good_event_meets_no_objection_and_nothing_counts(
    sandbox: SandboxServer, tmp_path: Path, at_once: list[float]
) -> None:
    result = run(sandbox, tmp_path, GOOD, GOOD | {"order_id": "order-10002"})
    assert result.exit_code == 0, result.output
    assert [reply["takes_it"] for reply in replies(result)] == [True, True]
    assert summary_at_the_end(result)["ok"] is True
    assert sandbox.counts()["accepted"] == 0
    assert len(sandbox.requests()) == 3
    assert at_once == [1.0] * 3


def test_x_s_objection_is_told_in_its_words(sandbox: SandboxServer, tmp_path: Path) -> None:
    result = run(sandbox, tmp_path, GOOD, {**GOOD, "event_id": "tw-o8z6j-zzzzz", "event": None})
    assert result.exit_code == 1
    (good, bad) = replies(result)
    assert good["takes_it"]
    assert any("event_id (tw-o8z6j-zzzzz)" in words for words in bad["words"])
    assert summary_at_the_end(result)["ok"] is False


def test_nothing_real_leaves(sandbox: SandboxServer, tmp_path: Path) -> None:
    run(sandbox, tmp_path, GOOD | {"search_string": "order-10001"})
    sent = json.dumps([record["conversion"] for record in sandbox.refused()])
    assert "order-10001" not in sent
    assert "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d" not in sent  # of jane@example.com
    assert "72.05" not in sent
    assert sent.count("xcapi-planted-") == 2


def test_amounts_go_only_when_wanted(sandbox: SandboxServer, tmp_path: Path) -> None:
    run(sandbox, tmp_path, GOOD, arguments=("--yes", "--with-value"))
    assert "72.05" in json.dumps([record["conversion"] for record in sandbox.refused()])


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 200, "body": json.dumps({"data": {"conversions_processed": 1, "debug_id": "d"}})},
        {"status": 400, "body": json.dumps({"errors": [{"code": "INVALID_PARAMETER", "message": "another"}]})},
        {"status": 401},
        {"status": 503},
        {"drop": True},
    ],
)
def test_anything_unexpected_stops_everything(sandbox: SandboxServer, tmp_path: Path, fault: dict[str, object]) -> None:
    sandbox.inject(fault)
    result = run(sandbox, tmp_path, GOOD)
    assert result.exit_code == 1
    assert replies(result) == []
    assert summary_at_the_end(result)["ok"] is False
    assert len(sandbox.requests()) == 1
    assert "Stopped: X" in result.stderr


def test_fifty_are_asked_about_at_most(sandbox: SandboxServer, tmp_path: Path) -> None:
    result = run(sandbox, tmp_path, *(GOOD | {"order_id": f"order-{number}"} for number in range(53)))
    assert len(replies(result)) == 50
    assert "3 more were not asked about" in result.stderr


def test_it_asks_first_and_names_pixel_and_account(sandbox: SandboxServer, tmp_path: Path) -> None:
    result = run(sandbox, tmp_path, GOOD, arguments=())
    assert result.exit_code == 2  # nobody is there to answer
    assert "pixel o8z6j, ad account 18ce552mlaq" in result.stderr
    assert sandbox.requests() == []


def test_events_that_the_function_would_not_send_are_not_asked_about(sandbox: SandboxServer, tmp_path: Path) -> None:
    result = run(sandbox, tmp_path, GOOD | {"consent": False}, {"event": "nope"})
    assert "nothing to ask X about" in result.stderr
    assert sandbox.requests() == []


def test_no_key_is_shown(sandbox: SandboxServer, tmp_path: Path) -> None:
    result = run(sandbox, tmp_path, GOOD)
    assert not any(secret in result.output + result.stderr for secret in SECRETS)
