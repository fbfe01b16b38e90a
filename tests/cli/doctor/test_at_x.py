"""`xcapi doctor` against a sandbox in which everything that goes wrong at X is made to go wrong."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.cli.sandboxed import FOUR, SECRETS, configuration, keys_file
from tests.sandbox.client import OTHER_KEYS, conversion, post
from xcapi_core.cli.doctor.command import doctor
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS
from xcapi_core.sandbox.server import SandboxServer

DEMO_FOUR = {part: getattr(DEMO_OAUTH_KEYS, part) for part in FOUR}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


def run(*arguments: object) -> Result:
    return CliRunner().invoke(doctor, [str(argument) for argument in arguments])


def checks_of(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """Run with --json; return the exit code and the checks, after a look at the summary and for secrets."""
    result = run(*arguments, "--json")
    *checks, last = [json.loads(line) for line in result.stdout.splitlines()]
    counts = {status: sum(check["status"] == status for check in checks) for status in last["summary"]}
    assert last == {"summary": counts}
    assert not any(secret in result.output for secret in SECRETS)
    return result.exit_code, checks


def by_name(checks: list[dict[str, Any]]) -> dict[str, str]:
    """Return the status of each check at X, of several of one name the first."""
    statuses: dict[str, str] = {}
    for check in checks:
        if check.get("pixel_id"):
            statuses.setdefault(check["check"], check["status"])
    return statuses


def fix_of(checks: list[dict[str, Any]], name: str) -> str:
    return next(str(check["fix"]) for check in checks if check["check"] == name)


def test_all_is_well_and_the_tags_are_told(sandbox: SandboxServer, tmp_path: Path) -> None:
    assert post(sandbox, conversion()).status_code == 200
    before = sandbox.counts()["accepted"]
    code, checks = checks_of("--config", configuration(sandbox, tmp_path))
    assert code == 0, checks
    assert set(by_name(checks).values()) == {"ok"}
    tags = {check["event"]: check for check in checks if check["check"] == "event_tag"}
    assert tags["purchase"]["status"] == "ok"
    assert "PURCHASE, TRACKING, last seen 20" in tags["purchase"]["found"]
    assert tags["sign_up"]["status"] == "warning"
    assert sandbox.counts()["accepted"] == before


def test_pixel_token_reads_no_tags_and_that_is_said(sandbox: SandboxServer, tmp_path: Path) -> None:
    keys = keys_file(tmp_path, DEMO_PIXEL_TOKENS["o8z6j"][0], "token.json")
    code, checks = checks_of("--config", configuration(sandbox, tmp_path), "--keys", keys, "--pixel", "o8z6j")
    assert code == 0
    found = by_name(checks)
    assert (found["keys_accepted"], found["pixel"]) == ("ok", "ok")
    assert (found["ads_api_access"], found["event_tag"], found["user_role"]) == ("skipped",) * 3


@pytest.mark.parametrize(
    ("keys", "failing", "words"),
    [
        ([DEMO_FOUR | {"consumer_secret": "another"}], "keys_accepted", "it is the keys"),
        ([], "keys_accepted", "it is the keys"),
        ([DEMO_FOUR | {"ads_api_access": False}], "ads_api_access", "Apply for Ads API access"),
        ([DEMO_FOUR | {"pixel_ids": ["p9q7k"]}], "pixel", "no role in its account"),
        ([DEMO_FOUR | {"permissions": ["AD_VIEWER"]}], "user_role", "AD_MANAGER or ACCOUNT_ADMIN"),
    ],
)
def test_each_refusal_of_x_is_told_with_what_mends_it(
    sandbox: SandboxServer, tmp_path: Path, keys: list[dict[str, object]], failing: str, words: str
) -> None:
    sandbox.accept_keys({"oauth": keys})
    code, checks = checks_of("--config", configuration(sandbox, tmp_path))
    assert code == 1
    assert [check["check"] for check in checks if check["status"] == "failed"] == [failing]
    assert words in fix_of(checks, failing)
    assert "skipped" not in list(by_name(checks).values())[: list(by_name(checks)).index(failing)]


def test_clock_that_is_off_is_the_clock_and_not_the_keys(tmp_path: Path) -> None:
    with SandboxServer(clock=lambda: time.time() + 3_600) as sandbox:
        code, checks = checks_of("--config", configuration(sandbox, tmp_path))
    assert code == 1
    assert by_name(checks)["clock"] == "failed"
    assert by_name(checks)["keys_accepted"] == "skipped"
    assert "NTP" in fix_of(checks, "clock")


def test_clock_that_x_does_not_mind_is_a_warning(tmp_path: Path) -> None:
    """A pixel token signs no time."""
    with SandboxServer(clock=lambda: time.time() + 3_600) as sandbox:
        keys = keys_file(tmp_path, DEMO_PIXEL_TOKENS["o8z6j"][0], "token.json")
        code, checks = checks_of("--config", configuration(sandbox, tmp_path), "--keys", keys, "--pixel", "o8z6j")
    assert (code, by_name(checks)["clock"], by_name(checks)["keys_accepted"]) == (0, "warning", "ok")


def test_clock_that_is_a_little_off_is_named_beside_the_keys(tmp_path: Path) -> None:
    with SandboxServer(clock=lambda: time.time() + 100) as sandbox:
        sandbox.accept_keys({"oauth": []})
        code, checks = checks_of("--config", configuration(sandbox, tmp_path))
    assert (code, by_name(checks)["clock"], by_name(checks)["keys_accepted"]) == (1, "warning", "failed")
    assert fix_of(checks, "keys_accepted").startswith("Look at the clock first")


def test_x_is_asked_once_and_about_nobody(sandbox: SandboxServer, tmp_path: Path) -> None:
    checks_of("--config", configuration(sandbox, tmp_path))
    (asked,) = [record["conversion"] for record in sandbox.refused()]
    synthetic, planted = [pair for element in asked["identifiers"] for pair in element.items()]
    assert (synthetic[0], planted[0], planted[1][:14]) == ("hashed_email", "hashed_email", "xcapi-planted-")
    assert asked["event_id"] not in ("o8z21", "o8z22", "tw-o8z6j-o8z21")
    assert set(asked) == {"conversion_time", "event_id", "identifiers", "conversion_id"}
    assert sandbox.counts()["accepted"] == 0


def test_wrong_api_version_is_no_route(sandbox: SandboxServer, tmp_path: Path) -> None:
    code, checks = checks_of("--config", configuration(sandbox, tmp_path, api_version="11"))
    assert (code, by_name(checks)["pixel"]) == (1, "failed")
    assert "api_version" in fix_of(checks, "pixel")


def test_x_that_nobody_reaches(sandbox: SandboxServer, tmp_path: Path) -> None:
    code, checks = checks_of("--config", configuration(sandbox, tmp_path, api_base_url="http://127.0.0.1:9"))
    assert (code, by_name(checks)["x_reachable"]) == (1, "failed")
    assert set(list(by_name(checks).values())[3:]) == {"skipped"}


@pytest.mark.parametrize("status", [408, 423, 429, 500, 503])
def test_x_that_is_unwell_is_what_failed_and_tells_nothing_about_the_keys(
    sandbox: SandboxServer, tmp_path: Path, status: int
) -> None:
    """`doctor --keys … && gcloud secrets versions add …` must not go on with keys that nobody has tried."""
    sandbox.inject({"status": status})
    code, checks = checks_of("--config", configuration(sandbox, tmp_path))
    found = by_name(checks)
    assert (code, found["x_reachable"], found["keys_accepted"], found["pixel"]) == (1, "failed", "skipped", "skipped")
    assert "later" in fix_of(checks, "x_reachable")


def test_x_that_counts_what_it_must_refuse_is_asked_nothing_more(sandbox: SandboxServer, tmp_path: Path) -> None:
    body = {"data": {"conversions_processed": 1, "debug_id": "d"}}
    sandbox.inject({"status": 200, "body": json.dumps(body)})
    code, checks = checks_of("--config", configuration(sandbox, tmp_path))
    assert code == 1
    assert "may have counted" in fix_of(checks, "pixel")
    assert by_name(checks)["event_tag"] == "skipped"


def test_tag_that_the_account_does_not_have(sandbox: SandboxServer, tmp_path: Path) -> None:
    pixels = {"o8z6j": {"credentials": f"file:{keys_file(tmp_path)}", "event_ids": {"lead": "tw-o8z6j-zzzzz"}}}
    code, checks = checks_of("--config", configuration(sandbox, tmp_path, pixels=pixels))
    assert (code, by_name(checks)["event_tag"]) == (1, "failed")
    assert "xcapi tags list" in fix_of(checks, "event_tag")


@pytest.mark.parametrize(
    ("credentials", "failing", "words"),
    [
        ("env:NO_SUCH_KEYS", "secret", "export NO_SUCH_KEYS="),
        ("file:no-such-keys.json", "secret", "no-such-keys.json"),
        ("file:broken.json", "keys", "four OAuth keys"),
    ],
)
def test_keys_that_cannot_be_read(
    sandbox: SandboxServer, tmp_path: Path, credentials: str, failing: str, words: str
) -> None:
    credentials = credentials.replace("file:", f"file:{tmp_path}/")
    (tmp_path / "broken.json").write_text('{"consumer_key": "Wonderland"}')
    pixels = {"o8z6j": {"credentials": credentials, "event_ids": {"lead": "tw-o8z6j-o8z21"}}}
    code, checks = checks_of("--config", configuration(sandbox, tmp_path, pixels=pixels))
    assert (code, by_name(checks)[failing]) == (1, "failed")
    assert words in fix_of(checks, failing)
    assert "Wonderland" not in json.dumps(checks)
    assert by_name(checks)["user_role"] == "skipped"
    assert by_name(checks)["keys"] == ("failed" if failing == "keys" else "skipped")


def test_nothing_told_of_google_is_skipped_permissions_included(
    sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    arguments = ("--config", configuration(sandbox, tmp_path, dead_letter_topic=f"file:{tmp_path}/dead-letters.jsonl"))
    code, checks = checks_of(*arguments)
    found = {check["check"]: check["status"] for check in checks}
    at_google = ("topic", "subscription", "dead_letter_subscription", "permissions")
    assert code == 0
    assert {name: found.get(name) for name in at_google} == dict.fromkeys(at_google, "skipped")


def test_new_keys_are_tried_before_they_go_live(sandbox: SandboxServer, tmp_path: Path) -> None:
    other = keys_file(tmp_path, OTHER_KEYS, "new.json")
    arguments = ("--config", configuration(sandbox, tmp_path), "--keys", other, "--pixel", "o8z6j")
    assert checks_of(*arguments)[0] == 1
    sandbox.accept_keys({"oauth": [{part: getattr(OTHER_KEYS, part) for part in FOUR}]})
    code, checks = checks_of(*arguments)
    assert code == 0
    assert not [check for check in checks if check["check"] == "topic"]


def test_every_problem_of_a_configuration_is_a_check(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"pixels": {"o8z6j": {}}, "consent": "maybe"}))
    code, checks = checks_of("--config", file)
    assert code == 1
    assert {check["check"] for check in checks} == {"configuration"}
    assert len(checks) == 4


def test_people_read_lines_with_what_to_do(sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.accept_keys({"oauth": []})
    result = run("--config", configuration(sandbox, tmp_path))
    assert result.exit_code == 1
    assert "failed  keys accepted o8z6j: UNAUTHORIZED_ACCESS: This request is not" in result.output
    assert "        → The clock is right, so it is the keys" in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize("arguments", [["--keys", "keys.json"], ["--pixel", "zzz"]])
def test_wrong_usage(sandbox: SandboxServer, tmp_path: Path, arguments: list[str]) -> None:
    config = configuration(sandbox, tmp_path)
    assert (
        run("--config", config, *(argument.replace("keys.json", str(config)) for argument in arguments)).exit_code == 2
    )
