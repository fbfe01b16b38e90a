"""Faults as a client feels them."""

import json
import time

import pytest
import requests

from tests.sandbox.client import PIXEL_TOKEN, conversion, post
from xcapi_core.sandbox.server import SandboxServer


def inject(sandbox: SandboxServer, *faults: object) -> None:
    answer = requests.post(f"{sandbox.url}/sandbox/faults", json=list(faults), timeout=60)
    assert answer.status_code == 201, answer.text


def test_faults_are_listed_counted_and_lifted(sandbox: SandboxServer) -> None:
    inject(sandbox, {"status": 503, "times": 1}, {"latency_s": 0.001})
    assert [post(sandbox, conversion()).status_code for _ in range(2)] == [503, 200]
    url = f"{sandbox.url}/sandbox/faults"
    assert requests.get(url, timeout=60).json()["faults"] == [
        {"status": 503, "times": 1, "fired": 1, "active": False},
        {"latency_s": 0.001, "fired": 2, "active": True},
    ]
    assert requests.delete(url, timeout=60).status_code == 204
    assert requests.get(url, timeout=60).json()["faults"] == []


@pytest.mark.parametrize("path", ["faults", "keys"])
@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"status":\n 503', "no JSON from line 2, column 5 on"),
        (b"", "no JSON from line 1, column 1 on"),
        (b'"\xff"', "no JSON in UTF-8"),
    ],
    ids=["cut off", "empty", "no UTF-8"],
)
def test_what_is_no_json_is_told_with_the_place(sandbox: SandboxServer, path: str, body: bytes, found: str) -> None:
    answer = requests.post(f"{sandbox.url}/sandbox/{path}", data=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json() == {"problems": [f"body: found {found}, expected a JSON document"]}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (408, "CANCELLED_REQUEST"),
        (423, "LOCK_ACQUISITION_TIMEOUT"),
        (429, "TOO_MANY_REQUESTS"),
        (500, "INTERNAL_ERROR"),
        (503, "SERVICE_UNAVAILABLE"),
    ],
)
def test_status_comes_with_x_s_code_and_nothing_is_taken(sandbox: SandboxServer, status: int, code: str) -> None:
    inject(sandbox, {"status": status})
    answer = post(sandbox, conversion())
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert sandbox.counts()["accepted"] == 0


def test_code_and_words_can_be_chosen(sandbox: SandboxServer) -> None:
    inject(sandbox, {"status": 503, "code": "OVER_CAPACITY", "message": "Over capacity", "headers": {"x-a": "b"}})
    answer = post(sandbox, conversion())
    assert answer.json()["errors"] == [{"code": "OVER_CAPACITY", "message": "Over capacity"}]
    assert answer.headers["x-a"] == "b"


def test_spent_budget_and_pause_are_announced(sandbox: SandboxServer) -> None:
    before = time.time()
    inject(sandbox, {"status": 429, "reset_in_s": 30, "retry_after_s": 7})
    answer = post(sandbox, conversion())
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-account-rate-limit-remaining"] == "0"
    assert before + 30 <= int(answer.headers["x-account-rate-limit-reset"]) <= time.time() + 31


def test_request_before_the_time_that_was_named_is_noted() -> None:
    now = [1_790_000_000.0]
    with SandboxServer(clock=lambda: now[0]) as sandbox:
        sandbox.inject({"status": 503, "retry_after_s": 10, "times": 1})
        for pause_s in (0, 9, 1):
            now[0] += pause_s
            post(sandbox, conversion(), headers={"X-Pixel-Token": PIXEL_TOKEN})
    assert [(r.status, r.early) for r in sandbox.requests()] == [(503, False), (200, True), (200, False)]
    assert sandbox.counts()["early_requests"] == 1


def test_reset_can_be_announced_with_a_success(sandbox: SandboxServer) -> None:
    inject(sandbox, {"reset_in_s": 30})
    answer = post(sandbox, conversion())
    assert (answer.status_code, answer.headers["x-account-rate-limit-remaining"]) == (200, "0")


def test_latency_delays_the_answer_not_the_work(sandbox: SandboxServer) -> None:
    inject(sandbox, {"latency_s": 300})
    with pytest.raises(requests.exceptions.ReadTimeout):
        post(sandbox, conversion(), timeout=0.5)
    while not sandbox.counts()["accepted"]:  # the suite's own timeout bounds this
        pass
    assert sandbox.requests() == [], "done, and not answered yet"


@pytest.mark.parametrize(("drop", "taken"), [(True, 0), ("before", 0), ("after", 1)])
def test_connection_is_dropped_without_an_answer(sandbox: SandboxServer, drop: object, taken: int) -> None:
    inject(sandbox, {"drop": drop, "times": 1})
    with pytest.raises(requests.exceptions.ConnectionError):
        post(sandbox, conversion())
    assert sandbox.counts()["accepted"] == taken
    assert [r.status for r in sandbox.requests()] == [0]
    assert post(sandbox, conversion()).status_code == 200


def test_dropping_one_connection_leaves_the_others_alone(sandbox: SandboxServer) -> None:
    with requests.Session() as session:
        session.get(f"{sandbox.url}/sandbox/faults", timeout=60)
        inject(sandbox, {"drop": True, "times": 1})
        with pytest.raises(requests.exceptions.ConnectionError):
            post(sandbox, conversion())
        assert session.get(f"{sandbox.url}/sandbox/faults", timeout=60).status_code == 200


def test_answer_that_is_not_x_s(sandbox: SandboxServer) -> None:
    inject(sandbox, {"status": 502, "body": "<html>Bad gateway</html>", "times": 1}, {"status": 200, "body": "junk"})
    first, second = post(sandbox, conversion()), post(sandbox, conversion())
    assert (first.status_code, first.text) == (502, "<html>Bad gateway</html>")
    assert first.headers["content-type"].startswith("text/html")
    assert (second.status_code, second.text) == (200, "junk")
    assert sandbox.counts()["accepted"] == 0


@pytest.mark.parametrize("status", [204, 304])
def test_status_that_has_no_body(sandbox: SandboxServer, status: int) -> None:
    inject(sandbox, {"status": status})
    assert post(sandbox, conversion()).status_code == status


def test_success_with_a_wrong_count(sandbox: SandboxServer) -> None:
    inject(sandbox, {"processed": 1})
    answer = post(sandbox, conversion(), conversion(conversion_id="2"))
    assert (answer.status_code, answer.json()["data"]["conversions_processed"]) == (200, 1)
    assert sandbox.counts()["accepted"] == 2


def test_wrong_count_does_not_hide_a_refusal(sandbox: SandboxServer) -> None:
    inject(sandbox, {"processed": 1})
    assert post(sandbox, conversion(event_id="nope")).status_code == 404


def test_redirect(sandbox: SandboxServer) -> None:
    inject(sandbox, {"redirect": "http://elsewhere.example/"}, {"redirect": "http://elsewhere.example/", "status": 301})
    answer = post(sandbox, conversion())
    assert (answer.status_code, answer.headers["location"]) == (307, "http://elsewhere.example/")


def test_body_without_an_end(sandbox: SandboxServer) -> None:
    inject(sandbox, {"endless_body": True, "times": 1})
    with post(sandbox, conversion(), stream=True) as answer:
        received = 0
        for chunk in answer.iter_content(4096):
            received += len(chunk)
            if received > 100_000:
                break
    assert received > 100_000
    assert post(sandbox, conversion()).status_code == 200


def test_slow_body_arrives_whole(sandbox: SandboxServer) -> None:
    inject(sandbox, {"slow_body_s": 0.3})
    with post(sandbox, conversion(), stream=True) as answer:
        pieces = list(answer.iter_content(None))
    assert len(pieces) > 1
    assert json.loads(b"".join(pieces))["data"]["conversions_processed"] == 1


def test_one_conversion_is_refused_unnamed_and_takes_its_neighbours_along(sandbox: SandboxServer) -> None:
    inject(sandbox, {"refuse": {"conversion_id": "bad"}})
    batch = [conversion(conversion_id=str(index)) for index in range(499)]
    answer = post(sandbox, *batch, conversion(conversion_id="bad"))
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"code": "INVALID_PARAMETER", "message": "Invalid conversion", "parameter": ""}]
    assert post(sandbox, *batch).status_code == 200
    assert [r["conversion_id"] for r in sandbox.refused()] == ["bad"]


def test_refusal_can_name_the_value_and_have_a_status_of_its_own(sandbox: SandboxServer) -> None:
    inject(sandbox, {"refuse": {"field": "description", "equals": "poison", "named": True, "status": 404}})
    answer = post(sandbox, conversion(), conversion(description="poison"))
    assert answer.status_code == 404
    assert answer.json()["errors"] == [
        {"code": "INVALID_PARAMETER", "message": "description (poison) is not valid", "parameter": "description"}
    ]


def test_faults_from_python_are_checked_like_those_over_http(sandbox: SandboxServer) -> None:
    sandbox.inject({"status": 503, "times": 1})
    assert post(sandbox, conversion()).status_code == 503
    with pytest.raises(ValueError, match=r"faults\[0\]\.status"):
        sandbox.inject({"status": 1})
    with pytest.raises(ValueError, match="keys"):
        sandbox.accept_keys({"oauth": 5})
