"""The server-side Tag Manager template: its own tests pass on Node, and the function reads what it publishes."""

import base64
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.services import unavailable
from xcapi_core.conversions import Conversion
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings.reader import read_settings

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "integrations" / "gtm" / "x-conversions-pubsub.tpl"
STAND_IN = Path(__file__).with_name("stand_in.mjs")


def on_node(template: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    if node is None:
        unavailable("Node is not installed")
    command = [node, str(STAND_IN), str(template), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def section(name: str) -> str:
    found = re.search(
        rf"^___{name}___\n(.*?)(?=^___|\Z)", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, name
    return found[1].strip()


def test_templates_own_tests_pass() -> None:
    done = on_node(TEMPLATE)
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^- name: (.+)$", section("TESTS"), re.MULTILINE)
    assert done.stdout.splitlines() == [f"passed: {name}" for name in names]


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("attributes: attributes", "attributes: {}"),
        ("data.gtmOnFailure();", "data.gtmOnSuccess();"),
        ("'_twclid'", "'_other'"),
        ("https://pubsub.googleapis.com/v1", "https://evil.example/v1"),
        ("auth/pubsub']})", "auth/cloud-platform']})"),
    ],
)
def test_templates_tests_and_permissions_notice_what_is_broken(broken: str, mended: str, tmp_path: Path) -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    code = section("SANDBOXED_JS_FOR_SERVER")
    assert broken in code
    (tmp_path / "broken.tpl").write_text(text.replace(code, code.replace(broken, mended)), encoding="utf-8")
    assert on_node(tmp_path / "broken.tpl").returncode != 0


def test_sections_are_those_that_an_import_reads() -> None:
    names = re.findall(r"^___([A-Z_]+)___$", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == [
        "TERMS_OF_SERVICE",
        "INFO",
        "TEMPLATE_PARAMETERS",
        "SANDBOXED_JS_FOR_SERVER",
        "SERVER_PERMISSIONS",
        "TESTS",
        "NOTES",
    ]
    information = json.loads(section("INFO"))
    assert (information["type"], information["containerContexts"]) == ("TAG", ["SERVER"])
    used = set(re.findall(r"\bdata\.(\w+)", section("SANDBOXED_JS_FOR_SERVER"))) - {"gtmOnSuccess", "gtmOnFailure"}
    assert used == {field["name"] for field in json.loads(section("TEMPLATE_PARAMETERS"))}


def test_function_reads_what_the_tag_publishes() -> None:
    event = {
        "event_name": "purchase",
        "transaction_id": "10001",
        "value": 129.9,
        "currency": "EUR",
        "user_data": {"email_address": "jane@example.com"},
        "x-ga-gcs": "G111",
        "page_location": "https://shop.example/dänke",
    }
    (message,) = json.loads(on_node(TEMPLATE, json.dumps(event)).stdout)["messages"]
    settings = read_settings(
        json.dumps(
            {
                "dead_letter_topic": "file:dead-letters.jsonl",
                "pixels": {"o8z6j": {"credentials": "env:X_KEYS", "event_ids": {"purchase": "tw-o8z6j-o8z21"}}},
            }
        ).encode()
    )
    now = datetime.now(UTC)
    pushed = PubsubMessage(
        message_id="1",
        publish_time=now.isoformat(),
        data=base64.b64decode(message["data"]),
        attributes=message["attributes"],
        subscription="",
        ordering_key="",
        delivery_attempt=None,
    )
    (read,) = read_events(pushed, settings, received_at=now, settled=frozenset())
    assert isinstance(read, ReadEvent)
    assert isinstance(read.result, Conversion)
    assert (read.format, read.result.conversion_id) == ("ga4", "10001")
    assert json.loads(pushed.data) == event
