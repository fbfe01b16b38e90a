"""The documents' snippets run where they can run here; of the others, commands and flags are those that exist."""

import ast
import gzip
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
import requests

from tests.gcloud import assert_gcloud_knows, gcloud_tree
from tests.sandbox.client import PIXEL_TOKEN, conversion
from tests.services import emulator, unavailable
from tests.snippets import Snippet, commands_in, snippets
from xcapi_core.cli.group import xcapi
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.pubsub import DeadLetter, DeliveryPath
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["emulator"]

PYTHON = snippets("python")
SHELL = snippets("sh")
COMMANDS = [(snippet, words) for snippet in SHELL for words in commands_in(snippet.text)]


def commands(program: str) -> list[Any]:
    """Return each call of a program as a parameter of a test, its own name left out."""
    found = [(snippet, words[1:]) for snippet, words in COMMANDS if Path(words[0]).name == program]
    assert found, program
    return [pytest.param(words, id=f"{snippet} {' '.join(words)[:50]}") for snippet, words in found]


def the_one(language: str, words: str) -> Snippet:
    """Return the one snippet with these words in it."""
    (found,) = [snippet for snippet in snippets(language) if words in snippet.text]
    return found


# --- Python ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_python_is_python(snippet: Snippet) -> None:
    ast.parse(snippet.text)


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_what_is_published_is_waited_for(snippet: Snippet) -> None:
    """A publisher sends in the background: a process that ends, or is throttled, takes along what it still holds."""
    tree = ast.parse(snippet.text)
    published = [ast.unparse(node) for node in ast.walk(tree) if is_call_of(node, "publish")]
    waited_for = [ast.unparse(node) for node in ast.walk(tree) if is_call_of(node, "result")]
    assert [call for call in published if not any(call in one for one in waited_for)] == []


def is_call_of(node: ast.AST, method: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method


class Topic:
    """The topic of the documents' examples, on a Pub/Sub of this process."""

    def __init__(self, pubsub: EmbeddedPubsub) -> None:
        self._pubsub = pubsub
        unused = DeliveryPath.named("my-project", "unused", "http://127.0.0.1:9/")
        self._path = replace(unused, dead_letter_topic="projects/my-project/topics/x-conversions")
        pubsub.provision(self._path)

    def run(self, script: str, folder: Path) -> int:
        """Run Python in a process of its own, which publishes to this topic, and return its exit code."""
        environment = {**os.environ, "PUBSUB_EMULATOR_HOST": self._pubsub.address}
        command = [sys.executable, "-c", script]
        return subprocess.run(command, cwd=folder, env=environment, check=False, timeout=200).returncode

    def messages(self) -> list[DeadLetter]:
        """Return what has been published."""
        return self._pubsub.pull(self._path.dead_letter_subscription, timeout_s=0)


@pytest.fixture
def topic() -> Iterator[Topic]:
    with EmbeddedPubsub() as pubsub:
        yield Topic(pubsub)


def test_app_s_message_has_arrived_when_its_request_is_answered(topic: Topic, tmp_path: Path) -> None:
    """An instance that is throttled, exits or is killed right after it answered does nothing more."""
    snippet = the_one("python", "def on_order")
    script = f"{snippet.text}\nimport os, signal\non_order({{'client_id': '1'}})\nos.kill(os.getpid(), signal.SIGKILL)"
    assert topic.run(script, tmp_path) == -signal.SIGKILL
    (message,) = topic.messages()
    assert (json.loads(message.data), message.attributes) == ({"client_id": "1"}, {"format": "ga4"})


def test_files_of_an_export_are_published_whole(topic: Topic, tmp_path: Path) -> None:
    rows = [json.dumps({"event_name": "purchase", "event_params": [], "n": n}) for n in range(1_200)]
    for name, part in (("20260420-000.json.gz", rows[:1_100]), ("20260420-001.json.gz", rows[1_100:])):
        (tmp_path / name).write_bytes(gzip.compress(("\n".join(part) + "\n").encode()))
    snippet = the_one("python", "gzip.open")
    assert topic.run(f"{snippet.text}\nimport os\nos._exit(0)", tmp_path) == 0
    arrived = topic.messages()
    assert {message.attributes["format"] for message in arrived} == {"ga4"}
    assert sorted(row["n"] for message in arrived for row in json.loads(message.data)) == list(range(1_200))


def test_sandbox_in_a_test_works_as_shown(tmp_path: Path) -> None:
    def send_my_conversions(api_base_url: str) -> None:
        body = {"conversions": [conversion(conversion_id="order-1")]}
        url = f"{api_base_url}/12/measurement/conversions/o8z6j"
        requests.post(url, json=body, headers={"X-Pixel-Token": PIXEL_TOKEN}, timeout=60)

    file = tmp_path / "snippet.py"
    file.write_text(the_one("python", "send_my_conversions").text)
    runpy.run_path(str(file), {"send_my_conversions": send_my_conversions})


# --- JavaScript -----------------------------------------------------------------------------------------------------

# What a server container gives a tag's template, on Node.
CONTAINER = """
const api = {
  JSON,
  toBase64: (text) => Buffer.from(text).toString('base64'),
  getGoogleAuth: () => undefined,
  getAllEventData: () => ({event_name: 'purchase', transaction_id: '10001'}),
  getCookieValues: (name) => name === '_twclid' ? ['c1'] : [],
  sendHttpRequest: (url, {method, headers}, body) =>
    fetch(url.replace('https://pubsub.googleapis.com', process.argv[1]), {method, headers, body})
      .then((answer) => ({statusCode: answer.status})),
};
const data = {gtmOnSuccess: () => console.log('success'), gtmOnFailure: () => console.log('failure')};
new Function('require', 'data', process.argv[2])((name) => api[name], data);
"""


@pytest.mark.e2e
def test_tag_of_a_server_container_tells_success_from_failure(emulator: PubsubEmulator) -> None:
    node = shutil.which("node")
    if node is None:
        unavailable("Node is not installed")
    path = DeliveryPath.named("my-project", "tag", "http://127.0.0.1:9/")
    path = replace(path, dead_letter_topic="projects/my-project/topics/x-conversions")
    snippet = the_one("js", "gtmOnSuccess").text

    def run() -> str:
        command = [node, "--eval", CONTAINER, f"http://{emulator.address}", snippet]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout

    assert run() == "failure\n"  # there is no such topic yet
    emulator.provision(path)
    assert run() == "success\n"
    (message,) = emulator.pull(path.dead_letter_subscription)
    assert json.loads(message.data) == {"event_name": "purchase", "transaction_id": "10001", "_twclid": "c1"}
    assert message.attributes == {"format": "ga4"}


# --- The shell ------------------------------------------------------------------------------------------------------


def test_calls_of_curl_work_on_a_sandbox() -> None:
    if shutil.which("curl") is None:
        unavailable("curl is not installed")
    blocks = [snippet for snippet in SHELL if "curl " in snippet.text]
    assert len(blocks) > 2
    with SandboxServer() as sandbox:
        for block in blocks:
            script = block.text.replace("http://127.0.0.1:8089", sandbox.url).replace("curl -s", "curl --fail -sS")
            done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=False, timeout=200)
            assert (done.returncode, done.stderr) == (0, ""), block


@pytest.mark.parametrize("words", commands("xcapi"))
def test_options_of_xcapi_exist(words: list[str]) -> None:
    command: click.Command = xcapi
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        found = command.get_command(click.Context(command), rest.pop(0))
        assert found is not None, words
        command = found
    known = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known


@pytest.fixture(scope="module", name="gcloud")
def commands_and_flags_of_gcloud() -> Mapping[str, Any]:
    return gcloud_tree()


@pytest.mark.parametrize("words", commands("gcloud"))
def test_commands_and_flags_of_gcloud_exist(words: list[str], gcloud: Mapping[str, Any]) -> None:
    assert_gcloud_knows(words, gcloud)


def test_every_shell_snippet_can_be_read_by_a_shell() -> None:
    for snippet in SHELL:
        done = subprocess.run(["sh", "-n"], input=snippet.text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), snippet


def test_nothing_breaks_where_it_is_pasted_into_zsh() -> None:
    """Typed at a prompt, zsh knows no comments: behind a command they are its arguments, and the command fails."""
    for snippet in SHELL:
        for line in snippet.text.splitlines():
            assert line.startswith("#") or not re.search(r"\s#\s", line), f"{snippet}: {line}"


def test_keys_are_removed_only_when_they_are_stored() -> None:
    for snippet in SHELL:
        for line in snippet.text.replace("\\\n", " ").splitlines():
            assert not line.strip().startswith("rm "), f"{snippet}: {line}"


# --- The walkthrough ------------------------------------------------------------------------------------------------


def test_the_walkthrough_has_the_commands_of_the_deployment_page() -> None:
    pages = {page: [one for one in SHELL if one.page == f"docs/{page}"] for page in ("cloudshell.md", "deploy.md")}
    deploying = {" ".join(words) for one in pages["deploy.md"] for words in commands_in(one.text)}
    walked = [
        " ".join(words)
        for one in pages["cloudshell.md"]
        for words in commands_in(one.text.replace("<walkthrough-project-id/>", "my-project"))
    ]
    assert len(walked) >= 9
    assert [command for command in walked if command not in deploying] == []
