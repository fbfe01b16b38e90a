"""`tools/check_in_a_project.py`: what it asks, and what it says of each answer. A real project alone is the proof."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.gcloud import assert_gcloud_knows, gcloud_tree
from tests.rollout.google_metrics import GOOGLE_METRICS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "check_in_a_project.py"
TOKEN = "ya29.not-a-real-token"
FAKE_GCLOUD = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
answers = json.load(open(os.environ["ANSWERS"]))
answer = answers[" ".join(sys.argv[1:3])]
sys.exit(answer["fails"]) if isinstance(answer, dict) else print(answer)
"""


def metric_labels() -> dict[str, frozenset[str]]:
    namespace: dict[str, Any] = {"__name__": "check_in_a_project"}
    exec(compile(SCRIPT.read_text(), SCRIPT, "exec"), namespace)  # noqa: S102 - our own script, which is no module
    found: dict[str, frozenset[str]] = namespace["METRICS"]
    return found


METRICS = metric_labels()


class Google:
    """Plays Cloud Monitoring and the function; `answers` are gcloud's, by the first two words of the call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queries: list[str] = []
        self.tokens: set[str | None] = set()
        self.missing_label = ""
        self.function_status = 403
        self.policies = [("x-conversions: Crashes", "up > 0"), ("somebody else's", "nonsense")]
        self.refused_query = ""
        google = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = google.answer(urlsplit(self.path).path, parse_qs(urlsplit(self.path).query))
                if self.path != "/":
                    google.tokens.add(self.headers["Authorization"])
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.answers: dict[str, object] = {
            "auth print-access-token": TOKEN,
            "functions describe": f"{self.url}/",
            "pubsub topics": "messageIds: ['1']",
            "logging read": "batch.delivered debug_id=1 pixel_id=o8z6j conversions=1",
        }

    def answer(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, object]:
        if path == "/":
            return self.function_status, {}
        if "/metricDescriptors/" in path:
            labels = METRICS[path.partition("/metricDescriptors/")[2]] - {self.missing_label}
            return 200, {"labels": [{"key": name} for name in labels]}
        if path.endswith("/alertPolicies"):
            # One a page.
            number = int(query.get("pageToken", ["0"])[0])
            title, promql = self.policies[number]
            policy = {
                "displayName": title,
                "conditions": [{"conditionPrometheusQueryLanguage": {"query": promql}}, {"conditionThreshold": {}}],
            }
            more = {"nextPageToken": str(number + 1)} if number + 1 < len(self.policies) else {}
            return 200, {"alertPolicies": [policy], **more}
        self.queries += query["query"]
        if query["query"] == [self.refused_query]:
            return 400, {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end"}
        return 200, {"status": "success"}

    def check(self, *options: str) -> "subprocess.CompletedProcess[str]":
        program = self.folder / "gcloud"
        program.write_text(FAKE_GCLOUD)
        program.chmod(0o755)
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
        where = ("--project", "my-project", "--region", "europe-west1", "--tag", "tw-o8z6j-test", "--wait-s", "0.3")
        return subprocess.run(
            [sys.executable, "-I", str(SCRIPT), *where, *options],
            env={
                "PATH": f"{self.folder}{os.pathsep}/usr/bin:/bin",
                "CALLS": str(self.folder / "calls.jsonl"),
                "ANSWERS": str(self.folder / "answers.json"),
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": f"{self.url}/",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]


@pytest.fixture
def google(tmp_path: Path) -> Iterator[Google]:
    found = Google(tmp_path)
    serving = threading.Thread(target=found.server.serve_forever)
    serving.start()
    yield found
    found.server.shutdown()
    serving.join()
    found.server.server_close()


def test_all_is_well(google: Google) -> None:
    done = google.check()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("  ok\n") == 4
    assert google.queries == ["up > 0"], "the alerts of others are none of its business"
    assert google.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout


def lose_a_label(google: Google) -> None:
    google.missing_label = "response_class"


def refuse_a_query(google: Google) -> None:
    google.refused_query = "up > 0"


def have_no_alert(google: Google) -> None:
    del google.policies[0]


def let_anybody_in(google: Google) -> None:
    google.function_status = 200


def deliver_nothing(google: Google) -> None:
    google.answers["logging read"] = ""


def refuse_the_event(google: Google) -> None:
    google.answers["logging read"] = "event.rejected reason=rejected message_id=1"


def log_out(google: Google) -> None:
    google.answers["auth print-access-token"] = {"fails": "You do not currently have an active account selected."}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lose_a_label, "pubsub.googleapis.com/subscription/push_request_count has no label response_class"),
        (refuse_a_query, "x-conversions: Crashes: HTTP 400: parse error: unexpected end"),
        (have_no_alert, "no alert's name begins with x-conversions"),
        (let_anybody_in, "answers 200 to anybody"),
        (deliver_nothing, "no line of the function within 0 s: the row about pushes in docs/deploy.md"),
        (refuse_the_event, "it was not delivered: event.rejected reason=rejected message_id=1"),
        (log_out, "gcloud auth print-access-token: You do not currently have an active account selected."),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_failure_is_told_and_the_other_checks_go_on(change: Any, says: str, google: Google) -> None:
    change(google)
    done = google.check()
    assert done.returncode == 1
    assert says in done.stdout
    assert "Traceback" not in done.stderr
    assert len(re.findall(r"^  (?:ok|failed)", done.stdout, re.MULTILINE)) == 4


def test_no_gcloud_is_a_sentence(google: Google, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), "--project", "p", "--region", "r", "--tag", "t"],
        env={"PATH": str(tmp_path / "nothing")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "failed  gcloud is not on PATH" in done.stdout
    assert done.stderr == ""
    del google


def test_its_gcloud_commands_and_flags_exist(google: Google) -> None:
    tree = gcloud_tree()
    google.check()
    assert {tuple(call[:2]) for call in google.calls} == {
        ("auth", "print-access-token"),
        ("functions", "describe"),
        ("logging", "read"),
        ("pubsub", "topics"),
    }
    for call in google.calls:
        assert_gcloud_knows(call, tree)


def test_it_asks_for_every_metric_of_google_s_that_the_module_uses() -> None:
    as_promql = {re.sub(r"[./]", "_", metric.replace("/", ":", 1)): labels for metric, labels in METRICS.items()}
    assert {name.removesuffix("_bucket") for name in GOOGLE_METRICS} == set(as_promql)
    for name, metric in GOOGLE_METRICS.items():
        assert as_promql[name.removesuffix("_bucket")] <= set(metric.labels)
