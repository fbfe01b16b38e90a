import threading

import pytest
import requests

from tests.sandbox.client import conversion, post
from xcapi_core.sandbox.server import PortTakenError, SandboxServer


def test_two_sandboxes_share_nothing() -> None:
    with SandboxServer() as one, SandboxServer() as other:
        assert one.port != other.port
        post(one, conversion())
        assert (one.counts()["accepted"], other.counts()["accepted"]) == (1, 0)


def test_taken_port_is_told_apart_from_other_trouble() -> None:
    with SandboxServer() as sandbox, pytest.raises(PortTakenError):
        SandboxServer(port=sandbox.port).start()
    with pytest.raises(OSError, match="assign") as elsewhere:
        SandboxServer(host="203.0.113.7").start()
    assert not isinstance(elsewhere.value, PortTakenError)


def test_stopped_sandbox_answers_nobody_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with SandboxServer() as sandbox:
        url = sandbox.url
        assert requests.get(f"{url}/sandbox/faults", timeout=60).status_code == 200
    assert sandbox.is_alive is False
    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"{url}/sandbox/faults", timeout=60)


def test_what_was_seen_can_be_read_after_the_end() -> None:
    with SandboxServer() as sandbox:
        post(sandbox, conversion())
    assert [r["conversion_id"] for r in sandbox.accepted("o8z6j")] == ["order-1"]
    assert sandbox.accepted("p9q7k") == []


def test_port_is_free_again_at_once() -> None:
    with SandboxServer() as sandbox:
        post(sandbox, conversion())
    with SandboxServer(port=sandbox.port) as again:
        assert post(again, conversion()).status_code == 200


def test_listener_hears_of_each_request() -> None:
    heard: list[int] = []
    with SandboxServer(on_request=lambda record: heard.append(record.status)) as sandbox:
        post(sandbox, conversion())
        post(sandbox, conversion(event_id="nope"))
        requests.get(f"{sandbox.url}/sandbox/conversions", timeout=60)
    assert heard == [200, 404]
