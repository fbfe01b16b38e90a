"""The README keeps its promises: what it shows is what the code does."""

import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from xcapi_core.cli.group import xcapi
from xcapi_core.conversions import Conversion
from xcapi_core.events import EventSource, read_event
from xcapi_core.events.decoding import decode_event
from xcapi_core.settings.reader import read_settings
from xcapi_core.x_api.protocol import build_request

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def shown(name: str) -> str:
    block = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)\n```", README, re.DOTALL)
    assert block, f"the README has no block called {name}"
    return block[1]


def test_the_message_becomes_the_request_that_stands_beside_it() -> None:
    settings = read_settings(shown("configuration"))
    message = shown("message").encode()
    now = datetime.now(UTC)
    source = EventSource(
        event_bytes=message,
        event_index=0,
        message_pixel_id=None,
        publish_time=now,
        publish_time_text=now.isoformat(),
        received_at=now,
    )
    conversion = read_event(decode_event(message), source, settings, "x")
    assert isinstance(conversion, Conversion)
    request = build_request(
        api_base_url=settings.api_base_url,
        api_version=settings.api_version,
        pixel_id=conversion.pixel_id,
        conversions=[conversion],
    )
    head, _, body = shown("request").partition("\n\n")
    path, host, *_ = head.split("\n")
    assert request.url == "https://" + host.removeprefix("Host: ") + path.split(" ")[1]
    # Order included: a reader compares line by line.
    assert json.dumps(json.loads(request.body), indent=2) == body


def test_every_command_stands_in_the_readme() -> None:
    table = README.partition("\n## Commands\n")[2].partition("\n## ")[0]
    assert re.findall(r"(?m)^\| `xcapi (\w+)`", table) == xcapi.list_commands(click.Context(xcapi))


def test_every_configuration_key_stands_in_the_readme_with_its_default() -> None:
    settings = read_settings(shown("configuration"))
    for name in settings.__struct_fields__:
        assert f"`{name}`" in README or f'"{name}"' in README, name
    assert f"| `request_timeout_s` | {settings.request_timeout_s:g} |" in README
    assert f"| `settle_timeout_s` | {settings.settle_timeout_s:g} |" in README


def test_every_link_to_a_file_leads_somewhere() -> None:
    root = Path(__file__).parents[1]
    for document in [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]:
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_command_that_shows_what_events_would_become_works_as_pasted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(shown("configuration"))
    (tmp_path / "events.jsonl").write_text(json.dumps(json.loads(shown("message"))) + "\n")
    command = re.search(r"(?m)^\.venv/bin/xcapi (validate .+)$", README)
    assert command
    done = subprocess.run(
        [sys.executable, "-m", "xcapi_core", *shlex.split(command[1])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "e586883b…" in done.stdout
    assert "\x1b" not in done.stdout
