"""`xcapi dev`: one's own configuration and events, in any folder, and nothing that leaves the machine."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.grpc_server import insecure_channel
from xcapi_core.sandbox.services.ports import free_port

CONFIGURATION: dict[str, Any] = {
    "dead_letter_topic": "projects/my-project/topics/dead-letters",
    "remainder_topic": "projects/my-project/topics/remainders",
    "pixels": {
        "o8z6j": {
            "credentials": "projects/my-project/secrets/x-ads-o8z6j/versions/latest",
            "event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "o8z22"},
        }
    },
}
EMAIL = "ada@example.com"
GOOD = {"event": "purchase", "conversion_id": "order-1", "email": EMAIL, "value": 129.9, "currency": "EUR"}
EVENTS = (
    GOOD,
    {"event": "purchase", "conversion_id": "order-2", "emial": EMAIL},
    {"event": "purchase", "conversion_id": "order-3", "email": EMAIL, "consent": False},
    {"event_id": "tw-o8z6j-zzzzz", "conversion_id": "order-4", "email": EMAIL},
    [{"event": "sign_up", "conversion_id": name, "phone": "+12025550143"} for name in ("s-1", "s-1", "s-2")],
)

pytestmark = pytest.mark.usefixtures("function_venv")  # the set-up is not what these tests time out on


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGURATION))
    write(tmp_path, *EVENTS)
    return tmp_path


def write(folder: Path, *events: object) -> None:
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "xcapi_core", "dev", "--config", "config.json", *options]


def run(folder: Path, *options: str, root: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("events.jsonl", *options),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root or repository_root()), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def test_each_event_is_shown_with_its_request_and_verdict(folder: Path) -> None:
    done = run(folder, "--json")
    *events, last = objects(done.stdout)
    assert done.returncode == 1, done.stderr
    assert [(event["end"], event["verdict"], event["reason"]) for event in events] == [
        ("conversion", "delivered", ""),
        ("invalid", "dead_lettered", "invalid_event"),
        ("skipped", "skipped", "no_consent"),
        ("conversion", "dead_lettered", "rejected"),
        ("conversion", "delivered", ""),
        ("conversion", "skipped", "already_delivered"),
        ("conversion", "delivered", ""),
    ]
    delivered, invalid, _, rejected = events[:4]
    assert (delivered["file"], delivered["line"]) == ("events.jsonl", 1)
    assert delivered["request"]["line"] == "POST /12/measurement/conversions/o8z6j HTTP/1.1"
    assert 'oauth_signature="***"' in delivered["request"]["headers"]["authorization"]
    assert json.loads(delivered["answer"]["body"])["data"]["conversions_processed"] >= 1
    assert (invalid["request"], invalid["answer"]) == (None, None)
    assert rejected["answer"]["status"] == 404
    assert "does not belong to provided account" in rejected["answer"]["body"]
    assert "Events Manager" in rejected["advice"][0]
    assert last["summary"]["verdicts"] == {"delivered": 3, "dead_lettered": 2, "skipped": 2}
    assert last["summary"]["ok"] is False


def test_nothing_personal_and_nothing_of_the_real_project_is_in_it(folder: Path) -> None:
    for options in ([], ["--json"]):
        shown = run(folder, *options).stdout
        assert "order-1" in shown
        for hidden in (EMAIL, "2025550143", "my-project", "ads-api.x.com"):
            assert hidden not in shown


def test_good_events_end_it_well_and_the_command_shown_starts_the_same_function(folder: Path) -> None:
    write(folder, GOOD)
    done = run(folder, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    by_hand = objects(done.stdout)[-1]["summary"]["command"]
    process = subprocess.Popen(
        ["/bin/sh", "-c", by_hand],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    port = by_hand.partition(" PORT=")[2].partition(" ")[0]
    try:
        settings = until(lambda: answer_of(f"http://127.0.0.1:{port}/"))["settings"]
        assert "o8z6j" in json.dumps(settings)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answer_of(url: str) -> Any:
    try:
        return requests.get(url, timeout=60).json()
    except requests.exceptions.RequestException:
        return None


def test_dry_run_of_the_configuration_stays(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIGURATION, "dry_run": True}))
    write(folder, GOOD)
    (event, _) = objects(run(folder, "--json").stdout)
    assert (event["verdict"], event["reason"], event["request"]) == ("skipped", "dry_run", None)


def test_what_is_still_deferred_when_the_time_is_over_is_said(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIGURATION, "rate": {"events": 1, "window_s": 900}}))
    write(folder, GOOD, {**GOOD, "conversion_id": "order-9"})
    done = run(folder, "--json", "--timeout", "15")
    first, second, last = objects(done.stdout)
    assert {first["verdict"], second["verdict"]} == {"delivered", "waiting"}
    assert (done.returncode, last["summary"]["ok"]) == (1, False)


@pytest.fixture
def session(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Give a session that watches the file, and its console's address."""
    port = free_port()
    process = subprocess.Popen(
        command("events.jsonl", "--json", "--watch", "--port", str(port)),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repository_root())},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process, f"http://127.0.0.1:{port}"
    process.terminate()
    process.communicate(timeout=60)


def read_run(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    assert process.stdout
    for line in process.stdout:
        found.append(json.loads(line))
        if "summary" in found[-1]:
            return found
    raise AssertionError("the session ended")


def shown_by(url: str) -> dict[str, Any]:
    with requests.get(f"{url}/console/stream", stream=True, timeout=60) as answer:
        data = next(line for line in answer.iter_lines(decode_unicode=True) if line.startswith("data: "))
    found: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return found


def test_saved_file_is_sent_again_and_the_console_has_both_runs(
    folder: Path, session: tuple[subprocess.Popen[str], str]
) -> None:
    process, url = session
    assert len(read_run(process)) == 8
    (folder / "events.jsonl").unlink()
    gone, _ = read_run(process)
    assert gone == {"file": "events.jsonl", "problem": "No such file or directory"}
    write(folder, GOOD, {**GOOD, "conversion_id": "order-5"})
    first, second, last = read_run(process)
    # The same conversion again: the function of this run does not know it yet.
    assert (first["verdict"], second["verdict"]) == ("delivered", "delivered")
    assert last["summary"]["console"] == f"{url}/"
    shown = shown_by(url)
    assert shown["mode"] == "dev"
    assert shown["totals"]["verdicts"] == {"delivered": 5, "dead_lettered": 2, "skipped": 2}
    row = next(row for row in shown["rows"] if row["reason"] == "invalid_event")
    details = requests.get(f"{url}/console/events/{row['id']}?reveal=1", timeout=60).json()
    assert json.loads(details["message"])["emial"] == EMAIL
    assert details["unread"] == ["emial (did you mean email?)"]
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert answer_of(url) is None


def test_wheel_carries_what_it_starts(folder: Path, tmp_path: Path) -> None:
    built = tmp_path / "wheel"
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*pip, str(built), str(repository_root())], check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    # The function's environment is kept by the folder that it is in: the checkout's is there already.
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "xcapi").symlink_to(repository_root() / ".cache")
    write(folder, GOOD)
    done = run(folder, "--json", root=tmp_path / "installed", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(repository_root() / "main.py") not in done.stdout
    assert f"cd {tmp_path / 'cache' / 'xcapi' / 'function-'}" in objects(done.stdout)[-1]["summary"]["command"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--watch"], "--watch needs files"),
        (["events.jsonl", "--pixel", "zzzzz"], "none of the configured pixels: o8z6j"),
        (["nothing.jsonl"], "does not exist"),
    ],
)
def test_wrong_usage_is_a_sentence(folder: Path, options: list[str], words: str) -> None:
    done = subprocess.run(
        command(*options),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repository_root())},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert words in done.stderr


def test_taken_port_is_a_sentence(folder: Path, sandbox: Any) -> None:
    done = run(folder, "--port", str(sandbox.port))
    assert (done.returncode, f"Port {sandbox.port} is taken" in done.stderr) == (1, True)


def test_events_that_meet_a_fault_end_once_each_in_terminal_and_console(
    folder: Path, session: tuple[subprocess.Popen[str], str]
) -> None:
    process, url = session
    read_run(process)
    requests.delete(f"{url}/console/events", timeout=60)
    faults = [{"status": 503, "times": 1}, {"refuse": {"all": True}, "rate": 0.2}]
    assert requests.put(f"{url}/sandbox/faults", json=faults, timeout=60).ok
    write(folder, *[{**GOOD, "conversion_id": f"order-{number}"} for number in range(100, 150)])
    *events, last = read_run(process)
    assert len(events) == 50
    assert set(last["summary"]["verdicts"]) == {"delivered", "dead_lettered"}
    assert last["summary"]["reasons"] == {"dead_lettered": {"rejected": last["summary"]["verdicts"]["dead_lettered"]}}
    assert shown_by(url)["totals"]["verdicts"] == last["summary"]["verdicts"]


def test_what_others_publish_is_followed_too(session: tuple[subprocess.Popen[str], str]) -> None:
    process, url = session
    *_, last = read_run(process)
    requests.delete(f"{url}/console/events", timeout=60)
    address = str(last["summary"]["publish"]).partition(",")[0].partition("=")[2]
    others = [{**GOOD, "conversion_id": "order-9"}, {"event": "purchase"}, {**GOOD, "consent": False}]
    message = PubsubMessage(data=json.dumps(others).encode())
    with insecure_channel(address) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        publisher.publish(topic="projects/local/topics/x-conversions", messages=[message], timeout=60)
    assert process.stdout
    told = [json.loads(process.stdout.readline()) for _ in others]
    assert [event["verdict"] for event in told] == ["delivered", "dead_lettered", "skipped"]
    assert {(event["file"], event["line"]) for event in told} == {("published", 1)}
    shown = shown_by(url)
    assert shown["totals"]["verdicts"] == {"delivered": 1, "dead_lettered": 1, "skipped": 1}
    assert shown["totals"]["reasons"]["dead_lettered"] == {"invalid_event": 1}
