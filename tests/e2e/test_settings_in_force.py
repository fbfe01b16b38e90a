"""What the settings promise, on the running function: dry run, local keys and dead letters, consent."""

import base64
import json
from pathlib import Path

import pytest

from tests.e2e.push import event, post, push, request
from tests.e2e.stack import oauth_payload, running, token_payload
from xcapi_core.sandbox.config import DEMO_PIXEL_TOKENS
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e


async def test_dry_run_discards_and_says_so(function_venv: FunctionVenv) -> None:
    with running(function_venv, dry_run=True) as stack:
        # Said at the start, before anything comes.
        (warning,) = stack.events_logged("service.dry_run")
        assert warning["severity"] == "WARNING"
        events = [event(email="Somebody@Private.example", value="5", currency="EUR") for _ in range(12)]
        assert (await push(stack.url, events)).status == 204
        # Nothing of it is remembered: the same conversion again is discarded again, not "already delivered".
        assert (await push(stack.url, events[:1])).status == 204
        assert (await push(stack.url, ["junk"])).status == 204
        assert stack.sandbox.requests() == []
        assert len(stack.dead_letters(1)) == 1
        settled = stack.events_logged("delivery.settled", count=3)
        assert [entry.get("skipped_dry_run") for entry in settled] == [12, 1, None]
        assert all("discarded" in str(entry) and entry["severity"] == "WARNING" for entry in settled)
        assert stack.events_logged("conversion.discarded")
        text = "\n".join(stack.function.lines).lower()
        assert "private.example" not in text
        body = (await request(stack.url, "GET")).json
        assert isinstance(body, dict)
        assert body["settings"]["dry_run"] is True


async def test_local_keys_and_dead_letters_work_without_google(function_venv: FunctionVenv, tmp_path: Path) -> None:
    """`file:` and `env:` references and a `file:` topic: nothing of Google's is asked."""
    keys = tmp_path / "keys.json"
    keys.write_bytes(oauth_payload())
    dead_letters = tmp_path / "letters.jsonl"
    pixels = {
        "o8z6j": {"credentials": f"file:{keys}", "event_ids": {"purchase": "tw-o8z6j-o8z21"}},
        "p9q7k": {"credentials": "env:X_KEYS", "event_ids": {"purchase": "p9q31"}},
    }
    environment = {"X_KEYS": token_payload(DEMO_PIXEL_TOKENS["p9q7k"][0]).decode()}
    with running(
        function_venv,
        pixels=pixels,
        dead_letter_topic=f"file:{dead_letters}",
        extra_environment=environment,
        max_event_age_hours=24,
        consent="require",
    ) as stack:
        willing = {"consent": "granted", "conversion_time": None}
        sent = [event(**willing), event(**willing, event_id=None, event="Purchase", pixel_id="p9q7k")]
        message = {"data": base64.b64encode(json.dumps(sent).encode()).decode(), "messageId": "1"}
        # No publish time either: the conversions happened when the message came.
        assert (await post(stack.url, {"message": message})).status == 204
        assert sorted(stack.accepted_ids()) == sorted(str(one["conversion_id"]) for one in sent)
        old = event(consent=True, conversion_time="2020-01-01T00:00:00Z")
        silent = event(conversion_time="2020-01-01T00:00:00Z")
        assert (await push(stack.url, [old, silent])).status == 204
        (dead_letter,) = [json.loads(line) for line in dead_letters.read_text().splitlines()]
        assert json.loads(base64.b64decode(dead_letter["data"])) == old
        assert dead_letter["attributes"]["xcapi_reason"] == "expired"
        assert stack.secrets.access_calls == 0

        dead_letters.unlink()
        dead_letters.mkdir()  # cannot be written now
        assert (await push(stack.url, "junk")).status == 503


async def test_log_lines_belong_to_the_requests_trace(function_venv: FunctionVenv) -> None:
    with running(function_venv) as stack:
        trace = "0af7651916cd43dd8448eb211c80319c"
        for headers in (
            {"traceparent": f"00-{trace}-b7ad6b7169203331-01"},
            {"X-Cloud-Trace-Context": f"{trace}/1;o=1"},
        ):
            body = {"message": {"data": base64.b64encode(b"junk").decode()}}
            assert (await post(stack.url, body, headers)).status == 204
        settled = stack.events_logged("delivery.settled", count=2)
        assert {entry["logging.googleapis.com/trace"] for entry in settled} == {f"projects/test-project/traces/{trace}"}
