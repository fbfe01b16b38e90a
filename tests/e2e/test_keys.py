"""Keys over time: rotation, outages of Secret Manager, and where a pixel token may travel."""

import asyncio
import json
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.deployment import OAUTH_SECRET, TOKEN_SECRET
from tests.e2e.push import Answer, envelope, event, new_id, post, push, push_all
from tests.e2e.stack import Stack, oauth_payload, running, token_payload
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e

_NEW_KEYS = replace(
    DEMO_OAUTH_KEYS,
    consumer_key="RotatedConsumerKey000000",
    consumer_secret="RotatedConsumerSecret0000NotARealSecret00000000000",
    access_token="1234567890-RotatedAccessToken00000NotARealToken00",
    access_token_secret="RotatedAccessTokenSecret00NotARealSecret00000",
)
_NEW_TOKEN = "rotated-pixel-token-p9q7k-not-a-real-token"


@pytest.fixture
def stack(function_venv: FunctionVenv) -> Iterator[Stack]:
    with running(function_venv, request_timeout_s=4, settle_timeout_s=8) as running_stack:
        yield running_stack


@pytest.fixture
def requeueing(function_venv: FunctionVenv) -> Iterator[Stack]:
    with running(function_venv, on_unauthorized="requeue") as running_stack:
        yield running_stack


def _x_takes_only_new_keys(stack: Stack) -> None:
    oauth = {name: getattr(_NEW_KEYS, name) for name in ("consumer_key", "consumer_secret", "access_token")}
    stack.sandbox.accept_keys(
        {
            "oauth": [{**oauth, "access_token_secret": _NEW_KEYS.access_token_secret}],
            "pixel_tokens": {"p9q7k": [_NEW_TOKEN]},
        }
    )


def _for_token_pixel(**fields: object) -> dict[str, object]:
    return event(event_id=None, event="purchase", pixel_id="p9q7k", **fields)


async def _healed(stack: Stack, message: object) -> Answer:
    """Deliver a message until it is taken: keys that could not be read are not read again for a while."""
    for _ in range(60):
        if (answer := await post(stack.url, message)).status == 204:
            break
        await asyncio.sleep(0.5)
    return answer


async def test_rotated_keys_of_both_kinds_are_found_without_a_restart(stack: Stack) -> None:
    events = [event(), _for_token_pixel()]
    assert (await push(stack.url, events)).status == 204
    stack.secrets.put(OAUTH_SECRET, oauth_payload(_NEW_KEYS))
    stack.secrets.put(TOKEN_SECRET, token_payload(_NEW_TOKEN))
    _x_takes_only_new_keys(stack)
    stack.sandbox.reset()
    calls = stack.secrets.access_calls
    answers = await push_all(stack.url, [[event(), _for_token_pixel()] for _ in range(50)])
    assert {answer.status for answer in answers} == {204}
    assert len(stack.accepted_ids()) == 100
    assert stack.dead_letters() == []
    # One reader at a time: one call a pixel, however many deliveries were refused.
    assert stack.secrets.access_calls - calls == 2
    assert [record.status for record in stack.sandbox.requests()].count(401) <= 8
    refreshed = stack.events_logged("credentials.refreshed", count=4)
    assert sorted(str(entry["version"]).rpartition("/")[2] for entry in refreshed) == ["1", "1", "2", "2"]


async def test_many_first_deliveries_ask_secret_manager_once(stack: Stack) -> None:
    stack.secrets.set_delay(0.3)
    answers = await push_all(stack.url, [event() for _ in range(60)], at_once=60)
    assert {answer.status for answer in answers} == {204}
    assert stack.secrets.access_calls == 1


async def test_keys_that_x_refuses_are_read_again_once_in_30_seconds(stack: Stack) -> None:
    _x_takes_only_new_keys(stack)
    for _ in range(5):
        assert (await push(stack.url, event())).status == 204
    assert stack.secrets.access_calls == 2
    dead_letters = stack.dead_letters(5)
    assert {dead_letter.attributes["xcapi_reason"] for dead_letter in dead_letters} == {"unauthorized"}
    assert {dead_letter.attributes["xcapi_error_code"] for dead_letter in dead_letters} == {"UNAUTHORIZED_ACCESS"}
    assert [record.status for record in stack.sandbox.requests()] == [401] * 6


async def test_refused_keys_can_requeue_and_pause_for_a_minute(requeueing: Stack) -> None:
    _x_takes_only_new_keys(requeueing)
    first = await push(requeueing.url, event())
    assert (first.status, first.reason) == (503, "unauthorized")
    answers = await push_all(requeueing.url, [event() for _ in range(20)])
    assert {(answer.status, answer.reason) for answer in answers} == {(503, "unauthorized")}
    assert len(requeueing.sandbox.requests()) == 2
    assert requeueing.dead_letters() == []
    # The other pixel has keys of its own.
    requeueing.sandbox.accept_keys({"pixel_tokens": {"p9q7k": ["sandbox-pixel-token-p9q7k-not-a-real-token"]}})
    assert (await push(requeueing.url, _for_token_pixel())).status == 204


async def test_secret_manager_down_at_the_start_is_503_in_time_and_heals(stack: Stack) -> None:
    stack.secrets.set_down(down=True)
    message = envelope(event(), message_id=new_id("m"))
    answers = await asyncio.gather(*(post(stack.url, message) for _ in range(3)), push(stack.url, event()))
    assert {(answer.status, answer.reason) for answer in answers} == {(503, "credentials_unavailable")}
    assert stack.sandbox.requests() == []
    stack.secrets.set_down(down=False)
    assert (await _healed(stack, message)).status == 204
    assert stack.dead_letters() == []


async def test_secret_manager_that_hangs_does_not_hold_a_delivery_past_its_time(stack: Stack) -> None:
    stack.secrets.set_delay(30)
    answer = await push(stack.url, event())
    assert (answer.status, answer.reason) == (503, "credentials_unavailable")
    assert answer.seconds < 25, "Secret Manager answers after 30 s"


async def test_keys_in_hand_serve_while_secret_manager_is_down(stack: Stack) -> None:
    assert (await push(stack.url, event())).status == 204
    stack.secrets.set_down(down=True)
    answers = await push_all(stack.url, [event() for _ in range(20)])
    assert {answer.status for answer in answers} == {204}


@pytest.fixture
def hasty(function_venv: FunctionVenv, tmp_path: Path) -> Iterator[Stack]:
    """Give the real function but for two times: keys are kept half a second, and re-read after three, not thirty."""
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            f"""
            import importlib.util, sys
            sys.path.insert(0, {str(repository_root())!r})
            from xcapi_core.x_api import credential_cache
            credential_cache.KEPT_S, credential_cache.RENEW_EVERY_S = 0.5, 3.0
            spec = importlib.util.spec_from_file_location("function_main", {str(repository_root() / "main.py")!r})
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            send_conversions = module.send_conversions
            """
        )
    )
    with running(function_venv, source=tmp_path, request_timeout_s=4, settle_timeout_s=8) as stack:
        yield stack


async def test_old_keys_serve_stale_while_secret_manager_is_down(hasty: Stack) -> None:
    assert (await push(hasty.url, event())).status == 204
    await asyncio.sleep(0.6)
    calls = hasty.secrets.access_calls
    assert (await push(hasty.url, event())).status == 204
    assert hasty.secrets.access_calls == calls + 1
    hasty.secrets.set_down(down=True)
    await asyncio.sleep(0.6)
    answers = await push_all(hasty.url, [event() for _ in range(10)])
    assert {answer.status for answer in answers} == {204}
    assert hasty.events_logged("credentials.stale")


async def test_rotation_while_secret_manager_is_down_loses_nothing(hasty: Stack) -> None:
    """Refused keys that cannot be read again are no reason for a dead letter: nobody knows whether they are wrong."""
    assert (await push(hasty.url, event())).status == 204
    hasty.secrets.put(OAUTH_SECRET, oauth_payload(_NEW_KEYS))
    _x_takes_only_new_keys(hasty)
    hasty.secrets.set_down(down=True)
    message = envelope(event(conversion_id="during-the-outage"), message_id=new_id("m"))
    for _ in range(2):
        answer = await post(hasty.url, message)
        assert (answer.status, answer.reason) == (503, "credentials_unavailable")
    assert hasty.dead_letters() == []
    hasty.secrets.set_down(down=False)
    assert (await _healed(hasty, message)).status == 204
    assert "during-the-outage" in hasty.accepted_ids()
    assert hasty.dead_letters() == []


PAYLOADS = {
    "no JSON": b"consumer_key=1",
    "three of four": json.dumps({"consumer_key": "a", "consumer_secret": "b", "access_token": "c"}).encode(),
    "a newline in a key": json.dumps({"pixel_token": "a\r\nX-Evil: 1"}).encode(),
    "not utf-8": b'{"pixel_token": "\xff"}',
}


async def test_unusable_payloads_are_503_and_the_right_one_heals(stack: Stack) -> None:
    for name, payload in PAYLOADS.items():
        stack.secrets.put(OAUTH_SECRET, payload)
        answer = await push(stack.url, event())
        assert (answer.status, answer.reason) == (503, "credentials_unavailable"), name
        await asyncio.sleep(1.05)
    stack.secrets.put(OAUTH_SECRET, b'\n{"pixel_token": " sandbox-pixel-token-o8z6j-not-a-real-token\\n"}\n')
    assert (await push(stack.url, event())).status == 204
    assert [record.auth for record in stack.sandbox.requests()] == ["pixel_token"]
