"""A bad configuration stops the start, with every problem at once, in JSON lines alone."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.ports import free_port

pytestmark = pytest.mark.e2e

GOOD = {
    "dead_letter_topic": "projects/p/topics/x-conversions-dead-letter",
    "pixels": {"o8z6j": {"credentials": "env:KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21"}}},
}
WRONG = {
    "dead_letter_topic": "x-conversions-dead-letter",
    "pixels": {
        "o8z6j": {
            "credentials": "S3cretPastedByMistake",
            "event_ids": {"purchase": "tw-other-o8z21", "lead": 5},
            "conversion_id_from": "order_id",
        },
        "P9Q7K": {"credentials": "env:KEYS", "event_ids": {}},
    },
    "default_pixel": "nope",
    "consent": "requre",
    "request_timeout_s": "10",
    "settle_timeout_s": -1,
    "batch": {"max_conversions": 501, "max_inflight": 4},
    "rate": {"events": True},
    "api_base_url": "https://user:S3cretPastedByMistake@ads-api.x.com/12",
    "dry_run": "yes",
    "default_currency": "EURO",
    "typo": 1,
}
PATHS = (
    "dead_letter_topic",
    "pixels.o8z6j.credentials",
    "pixels.o8z6j.event_ids.purchase",
    "pixels.o8z6j.event_ids.lead",
    "pixels.o8z6j.conversion_id_from",
    "pixels.P9Q7K",
    "default_pixel",
    "consent",
    "request_timeout_s",
    "settle_timeout_s",
    "batch.max_conversions",
    "batch.max_inflight",
    "rate.events",
    "api_base_url",
    "dry_run",
    "default_currency",
    "typo",
)


def _start(venv: FunctionVenv, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [venv.scripts / "functions-framework", "--target=send_conversions", "--host=127.0.0.1"],
        cwd=repository_root(),
        env={"PATH": os.environ["PATH"], "PORT": str(free_port()), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _problems(ended: subprocess.CompletedProcess[str]) -> list[str]:
    assert ended.returncode not in {0, -15}
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "S3cretPastedByMistake" not in ended.stdout + ended.stderr
    entries = [json.loads(line) for line in (ended.stdout + ended.stderr).splitlines()]
    assert all(entry["message"] for entry in entries)
    assert {entry["severity"] for entry in entries} == {"CRITICAL"}
    return [entry["problem"] for entry in entries]


def test_every_problem_is_listed_with_its_path(function_venv: FunctionVenv) -> None:
    problems = _problems(_start(function_venv, {"XCAPI_CONFIG": json.dumps(WRONG)}))
    paths = [problem.partition(":")[0] for problem in problems]
    assert sorted(set(paths)) == sorted(PATHS)
    assert all("found" in problem and "expected" in problem for problem in problems)


DOCUMENTS = {
    "no JSON": "{not json",
    "nothing": "",
    "a list": "[]",
    "null": "null",
    "a repeated key": '{"dead_letter_topic": "file:a", "dead_letter_topic": "file:b", "pixels": {}}',
    "nested": "[" * 50_000,
    "nan": '{"request_timeout_s": NaN}',
    "no pixels": '{"dead_letter_topic": "file:a"}',
    "timeouts that leave no time": json.dumps({**GOOD, "request_timeout_s": 50, "settle_timeout_s": 50}),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_that_are_none(function_venv: FunctionVenv, name: str) -> None:
    assert _problems(_start(function_venv, {"XCAPI_CONFIG": DOCUMENTS[name]}))


def test_a_file_that_is_not_there(function_venv: FunctionVenv, tmp_path: Path) -> None:
    (problem,) = _problems(_start(function_venv, {"XCAPI_CONFIG_FILE": str(tmp_path / "none.json")}))
    assert problem.startswith("XCAPI_CONFIG_FILE")


def test_both_and_neither(function_venv: FunctionVenv) -> None:
    assert _problems(_start(function_venv, {}))
    assert _problems(_start(function_venv, {"XCAPI_CONFIG": "{}", "XCAPI_CONFIG_FILE": "x"}))
