"""`xcapi tags` against the sandbox's read endpoints."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.sandboxed import SECRETS, configuration, keys_file
from tests.sandbox.client import conversion, post
from xcapi_core.cli.tags.command import event_ids_of, tags
from xcapi_core.cli.x.accounts import EventTag
from xcapi_core.sandbox.config import DEMO_PIXEL_TOKENS
from xcapi_core.sandbox.server import SandboxServer


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


def run(*arguments: object, answers: str | None = None) -> Result:
    return CliRunner().invoke(tags, [str(argument) for argument in arguments], input=answers)


def test_tags_are_listed_with_what_to_paste(sandbox: SandboxServer, tmp_path: Path) -> None:
    assert post(sandbox, conversion()).status_code == 200
    result = run("list", "--config", configuration(sandbox, tmp_path))
    assert result.exit_code == 0, result.output
    assert '"event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"}' in result.output
    assert 'event_ids = { "purchase" = "tw-o8z6j-o8z21", "sign_up" = "tw-o8z6j-o8z22" }' in result.output
    assert "TRACKING" in result.output
    assert "UNVERIFIED" in result.output
    assert not any(secret in result.output for secret in SECRETS)


def test_json_is_a_tag_a_line_and_the_summary(sandbox: SandboxServer, tmp_path: Path) -> None:
    result = run("list", "--config", configuration(sandbox, tmp_path), "--json")
    *lines, last = [json.loads(line) for line in result.output.splitlines()]
    assert [line["event_id"] for line in lines] == ["tw-o8z6j-o8z21", "tw-o8z6j-o8z22"]
    assert lines[0]["status"] == "UNVERIFIED"
    assert last["summary"]["event_ids"]["purchase"] == "tw-o8z6j-o8z21"


def test_new_tag_is_made_after_asking(sandbox: SandboxServer, tmp_path: Path) -> None:
    arguments = ("create", "--config", configuration(sandbox, tmp_path), "--name", "Trial", "--type", "start_trial")
    refused = run(*arguments, answers="n\n")
    assert (refused.exit_code, refused.stdout.splitlines()[-1]) == (0, "Nothing was made.")
    assert len(sandbox.engine.config.pixels[0].event_tags) == 2
    made = run(*arguments, answers="y\n")
    assert made.exit_code == 0, made.output
    assert len(sandbox.engine.config.pixels[0].event_tags) == 3
    assert '{"start_trial": "tw-o8z6j-' in made.output


def test_name_of_a_tag_steers_no_terminal(sandbox: SandboxServer, tmp_path: Path) -> None:
    config = configuration(sandbox, tmp_path)
    made = run("create", "--config", config, "--name", "a\x1b[31m\x9b2J\u202e", "--type", "purchase", "--yes")
    assert made.exit_code == 0, made.output
    shown = run("list", "--config", config).output
    assert "a\ufffd[31m" in shown
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)


def test_pixel_token_is_told_that_it_reads_nothing(sandbox: SandboxServer, tmp_path: Path) -> None:
    token = keys_file(tmp_path, DEMO_PIXEL_TOKENS["o8z6j"][0], name="token.json")
    result = run("list", "--config", configuration(sandbox, tmp_path), "--keys", token)
    assert result.exit_code == 1
    assert "four OAuth keys" in result.output


def test_refusal_is_x_s_words_and_no_key(sandbox: SandboxServer, tmp_path: Path) -> None:
    config = configuration(sandbox, tmp_path)
    sandbox.accept_keys({"oauth": []})
    result = run("list", "--config", config)
    assert result.exit_code == 1
    assert "not properly authenticated" in result.output
    assert not any(secret in result.output for secret in SECRETS)


def test_pixel_that_is_not_configured_is_wrong_usage(sandbox: SandboxServer, tmp_path: Path) -> None:
    assert run("list", "--config", configuration(sandbox, tmp_path), "--pixel", "zzz").exit_code == 2


def tag(tag_id: str, kind: str, name: str = "") -> EventTag:
    return EventTag(tag_id=tag_id, pixel_id="o8z6j", name=name, kind=kind, status="TRACKING", last_seen="")


def test_names_come_from_types_where_those_tell_tags_apart() -> None:
    found = [
        tag("a", "PURCHASE"),
        tag("b", "CUSTOM", "Add To-Cart"),
        tag("c", "SIGN_UP", "Lead"),
        tag("d", "SIGN_UP", "Lead"),
    ]
    assert event_ids_of(found) == {
        "purchase": "tw-o8z6j-a",
        "add_to_cart": "tw-o8z6j-b",
        "lead": "tw-o8z6j-c",
        "lead_d": "tw-o8z6j-d",
    }
