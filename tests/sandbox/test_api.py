"""The sandbox as a client meets it: over HTTP, with the client libraries that people use."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests

from tests.sandbox.client import OTHER_KEYS, PIXEL_TOKEN, conversion, post, signed_by
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, KeyRing, SandboxConfig
from xcapi_core.sandbox.server import SandboxServer

BY_TOKEN = {"X-Pixel-Token": PIXEL_TOKEN}
FOUR_NAMES = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


def codes(answer: requests.Response) -> list[str]:
    return [error["code"] for error in answer.json()["errors"]]


def seen(sandbox: SandboxServer, **query: str | int) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{sandbox.url}/sandbox/conversions", params=query, timeout=60).json()
    return found


def test_signed_conversions_are_processed_and_the_answer_is_x_s(sandbox: SandboxServer) -> None:
    answer = post(sandbox, conversion(), conversion(conversion_id="order-2"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert body["request"] == {"params": {"account_id": "18ce552mlaq"}}
    assert body["data"]["conversions_processed"] == 2
    assert uuid.UUID(body["data"]["debug_id"])
    assert post(sandbox, conversion()).json()["data"]["debug_id"] != body["data"]["debug_id"]


def test_pixel_token_does_as_well(sandbox: SandboxServer) -> None:
    assert post(sandbox, conversion(), headers=BY_TOKEN).status_code == 200


def test_500_conversions_are_taken_and_501_are_not(sandbox: SandboxServer) -> None:
    many = [conversion(conversion_id=str(index)) for index in range(501)]
    assert post(sandbox, *many[:500]).json()["data"]["conversions_processed"] == 500
    answer = post(sandbox, *many)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"code": "INVALID_PARAMETER", "message": "Conversion count limit is 500", "parameter": "conversions"}
    ]
    assert sandbox.counts()["accepted"] == 500


def test_one_bad_conversion_refuses_all_and_every_error_is_listed_without_an_index(sandbox: SandboxServer) -> None:
    answer = post(sandbox, conversion(), conversion(event_id="nope"), conversion(identifiers=[{"hashed_email": "abc"}]))
    assert answer.status_code == 404
    assert answer.json()["errors"] == [
        {
            "code": "NOT_FOUND",
            "message": "event_id (nope) does not belong to provided account",
            "parameter": "event_id",
        },
        {
            "code": "INVALID_PARAMETER",
            "message": "event_id (nope) is not a single event tag (SET)",
            "parameter": "event_id",
        },
        {
            "code": "INVALID_PARAMETER",
            "message": "hashed_email (abc) is not a valid SHA-256 hash",
            "parameter": "hashed_email",
        },
    ]
    found = seen(sandbox)
    assert found["accepted"] == []
    assert [r["conversion"]["event_id"] for r in found["refused"]] == ["nope", "o8z21"]
    assert found["requests"][0]["hint"] == "2 bad, and 1 good refused with them"


def test_wrong_keys_are_401(sandbox: SandboxServer) -> None:
    answer = post(sandbox, conversion(), auth=signed_by(OTHER_KEYS))
    assert answer.status_code == 401
    assert answer.json()["errors"] == [
        {"code": "UNAUTHORIZED_ACCESS", "message": "This request is not properly authenticated"}
    ]


def test_no_keys_at_all_are_401(sandbox: SandboxServer) -> None:
    url = f"{sandbox.url}/12/measurement/conversions/o8z6j"
    assert requests.post(url, json={"conversions": [conversion()]}, timeout=60).status_code == 401


def test_replayed_request_is_401(sandbox: SandboxServer) -> None:
    url = f"{sandbox.url}/12/measurement/conversions/o8z6j"
    signed = requests.Request("POST", url, json={"conversions": [conversion()]}, auth=signed_by()).prepare()
    with requests.Session() as session:
        assert [session.send(signed, timeout=60).status_code for _ in range(2)] == [200, 401]


def test_app_without_ads_api_access_is_403() -> None:
    keys = replace(OTHER_KEYS, ads_api_access=False)
    with SandboxServer(SandboxConfig(keys=KeyRing(oauth=(keys,)))) as sandbox:
        answer = post(sandbox, conversion(), auth=signed_by(keys))
    assert (answer.status_code, codes(answer)) == (403, ["UNAUTHORIZED_CLIENT_APPLICATION"])


def test_unknown_pixel_is_404_about_the_account(sandbox: SandboxServer) -> None:
    answer = post(sandbox, conversion(), pixel_id="nope1")
    assert (answer.status_code, codes(answer)) == (404, ["NOT_FOUND"])
    assert answer.json()["errors"][0]["message"].startswith("User 1234567890 does not have access to account nope1. ")


def test_pixel_of_an_account_that_the_user_cannot_see_is_404() -> None:
    keys = replace(OTHER_KEYS, user_id="42", pixel_ids=frozenset({"p9q7k"}))
    with SandboxServer(SandboxConfig(keys=KeyRing(oauth=(keys,)))) as sandbox:
        answer = post(sandbox, conversion(), auth=signed_by(keys))
        other = post(sandbox, conversion(event_id="p9q31"), auth=signed_by(keys), pixel_id="p9q7k")
    assert answer.json()["errors"][0]["message"].startswith("User 42 does not have access to account 18ce552mlaq. ")
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("GET", "/12/measurement/conversions/o8z6j"),
        ("PUT", "/12/measurement/conversions/o8z6j"),
        ("POST", "/12/measurement/conversions"),
        ("POST", "/12/measurement/conversions/"),
        ("POST", "/12/measurement/conversions/o8z6j/"),
        ("POST", "/11/measurement/conversions/o8z6j"),
        ("PATCH", "/sandbox/faults"),
    ],
)
def test_every_other_route_is_404_in_x_s_form(sandbox: SandboxServer, method: str, path: str) -> None:
    answer = requests.request(method, sandbox.url + path, headers=BY_TOKEN, allow_redirects=False, timeout=60)
    assert answer.status_code == 404
    assert answer.json()["errors"] == [
        {"code": "ROUTE_NOT_FOUND", "message": "The requested resource could not be found"}
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"conversions": [NaN]}',
        b"\xff\xfe{}",
        b'{"conversions": [{"value": 1' + b"0" * 5000 + b"}]}",
        b"[" * 100_000,
    ],
    ids=["empty", "cut off", "NaN", "not UTF-8", "a number of 5000 digits", "nested deep"],
)
def test_unreadable_body_is_400(sandbox: SandboxServer, body: bytes) -> None:
    headers = {**BY_TOKEN, "Content-Type": "application/json"}
    answer = post(sandbox, data=body, json=None, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"code": "INVALID", "message": "Request body is not valid JSON"}]


@pytest.mark.parametrize("document", [[], "x", {}, {"conversions": []}, {"conversions": {}}, {"conversions": None}])
def test_body_without_conversions_is_400(sandbox: SandboxServer, document: object) -> None:
    answer = post(sandbox, json=document, headers=BY_TOKEN)
    assert (answer.status_code, codes(answer)) == (400, ["MISSING_PARAMETER"])


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_other_content_type_is_415(sandbox: SandboxServer, content_type: str) -> None:
    headers = {**BY_TOKEN, "Content-Type": content_type}
    answer = post(sandbox, data=b"{}", json=None, headers=headers)
    assert answer.status_code == 415
    assert answer.json()["errors"]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_content_type_may_carry_a_charset(sandbox: SandboxServer, content_type: str) -> None:
    body = json.dumps({"conversions": [conversion()]}).encode()
    headers = {**BY_TOKEN, "Content-Type": content_type}
    assert post(sandbox, data=body, json=None, headers=headers).status_code == 200


@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "in chunks"])
def test_body_beyond_the_limit_is_413(announced: bool) -> None:  # noqa: FBT001  pytest's parameter
    body = b"x" * 300_000
    with SandboxServer(SandboxConfig(max_body_bytes=200_000)) as sandbox:
        headers = {**BY_TOKEN, "Content-Type": "application/json"}
        answer = post(sandbox, data=body if announced else iter([body]), json=None, headers=headers)
    assert (answer.status_code, codes(answer)) == (413, ["REQUEST_ENTITY_TOO_LARGE"])


def test_rate_budget_is_kept_with_its_headers() -> None:
    with SandboxServer(SandboxConfig(events_per_window=3)) as sandbox:
        first = post(sandbox, conversion(), conversion(conversion_id="2"))
        second = post(sandbox, conversion(conversion_id="3"), conversion(conversion_id="4"))
        other = post(sandbox, conversion(event_id="p9q31"), pixel_id="p9q7k")
        early = sandbox.counts()["early_requests"]
    assert (first.status_code, first.headers["x-account-rate-limit-remaining"]) == (200, "1")
    assert (second.status_code, codes(second)) == (429, ["TOO_MANY_REQUESTS"])
    assert second.headers["x-account-rate-limit-limit"] == second.headers["x-rate-limit-limit"] == "3"
    assert second.headers["x-account-rate-limit-remaining"] == "0"
    assert second.headers["x-account-rate-limit-reset"] == first.headers["x-account-rate-limit-reset"]
    assert other.status_code == 200, "another account's budget"
    assert early == 0


def test_messages_can_leave_the_offending_value_out() -> None:
    with SandboxServer(SandboxConfig(name_offending_values=False)) as sandbox:
        answer = post(sandbox, conversion(identifiers=[{"hashed_email": "abc"}]))
    assert answer.json()["errors"][0]["message"] == "hashed_email is not a valid SHA-256 hash"


def test_any_tag_and_any_pixel_can_be_accepted() -> None:
    with SandboxServer(SandboxConfig(any_tag=True)) as sandbox:
        assert post(sandbox, conversion(event_id="tw-o8z6j-zzzzz")).status_code == 200
    with SandboxServer(SandboxConfig(any_pixel=True)) as sandbox:
        answer = post(sandbox, conversion(event_id="zzzzz"), pixel_id="zz99z")
        assert answer.json()["request"]["params"]["account_id"] == "account-of-zz99z"
        assert post(sandbox, conversion(event_id="zzzzz")).status_code == 404, "a known pixel's tags are known"


def test_repetition_is_processed_and_marked(sandbox: SandboxServer) -> None:
    for event_tag in ("o8z21", "tw-o8z6j-o8z21", "o8z22"):
        assert post(sandbox, conversion(event_id=event_tag)).status_code == 200
    assert [r["duplicate"] for r in seen(sandbox)["accepted"]] == [False, True, False]
    assert seen(sandbox)["counts"]["duplicates"] == 1


def test_what_was_sent_is_shown_with_verdict_and_remarks(sandbox: SandboxServer) -> None:
    sent = conversion(conversion_id=None, colour="blue")
    post(sandbox, sent)
    (record,) = seen(sandbox)["accepted"]
    assert record["conversion"] == sent
    assert (record["verdict"], record["pixel_id"], record["errors"]) == ("accepted", "o8z6j", [])
    assert len(record["warnings"]) == 2


def test_requests_are_shown_without_secrets(sandbox: SandboxServer) -> None:
    post(sandbox, conversion())
    post(sandbox, conversion(), headers=BY_TOKEN)
    shown = seen(sandbox)["requests"]
    assert [(r["status"], r["conversions"], r["auth"]) for r in shown] == [(200, 1, "oauth1"), (200, 1, "pixel_token")]
    assert 'oauth_signature="***"' in shown[0]["headers"]["authorization"]
    text = json.dumps(shown)
    assert not [s for s in (DEMO_OAUTH_KEYS.consumer_key, DEMO_OAUTH_KEYS.access_token, PIXEL_TOKEN) if s in text]


def test_everything_that_is_kept_is_shown(sandbox: SandboxServer) -> None:
    for start in range(0, 1500, 500):
        post(sandbox, *(conversion(conversion_id=str(index)) for index in range(start, start + 500)))
    assert [r["conversion_id"] for r in seen(sandbox)["accepted"]] == [str(index) for index in range(1500)]


def test_shown_records_can_be_narrowed_and_forgotten(sandbox: SandboxServer) -> None:
    for index in range(3):
        post(sandbox, conversion(conversion_id=str(index)))
    post(sandbox, conversion(event_id="p9q31"), pixel_id="p9q7k")
    narrowed = seen(sandbox, pixel_id="o8z6j", limit=2)
    assert [r["conversion_id"] for r in narrowed["accepted"]] == ["1", "2"]
    assert requests.get(f"{sandbox.url}/sandbox/conversions?limit=x", timeout=60).status_code == 400
    assert requests.delete(f"{sandbox.url}/sandbox/conversions", timeout=60).status_code == 204
    assert seen(sandbox)["counts"]["requests"] == 0
    assert post(sandbox, conversion(conversion_id="0")).headers["x-account-rate-limit-remaining"] == "59999"
    assert seen(sandbox)["counts"]["duplicates"] == 0


def test_rotated_keys_are_taken_at_once_and_the_old_ones_refused(sandbox: SandboxServer) -> None:
    changed = {
        "oauth": [{name: getattr(OTHER_KEYS, name) for name in FOUR_NAMES}],
        "pixel_tokens": {"o8z6j": "new-token"},
    }
    assert requests.put(f"{sandbox.url}/sandbox/keys", json=changed, timeout=60).status_code == 204
    assert post(sandbox, conversion()).status_code == 401
    assert post(sandbox, conversion(), headers=BY_TOKEN).status_code == 401
    assert post(sandbox, conversion(), auth=signed_by(OTHER_KEYS)).status_code == 200
    assert post(sandbox, conversion(), headers={"X-Pixel-Token": "new-token"}).status_code == 200


def test_bad_keys_and_faults_are_400_with_every_problem(sandbox: SandboxServer) -> None:
    for path in ("keys", "faults"):
        for body in ("{", '{"nope": 1}', "[[1]]", ""):
            answer = requests.post(f"{sandbox.url}/sandbox/{path}", data=body, timeout=60)
            assert answer.status_code == 400
            assert answer.json()["problems"]


def test_clients_that_sign_for_x_s_own_host_can_be_served() -> None:
    config = SandboxConfig(public_url="https://ads-api.x.com")
    signed = requests.Request(
        "POST",
        "https://ads-api.x.com/12/measurement/conversions/o8z6j",
        json={"conversions": [conversion()]},
        auth=signed_by(),
    ).prepare()
    with SandboxServer(config) as sandbox, requests.Session() as session:
        signed.url = f"{sandbox.url}/12/measurement/conversions/o8z6j"
        assert session.send(signed, timeout=60).status_code == 200


def test_many_clients_at_once_lose_nothing(sandbox: SandboxServer) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda index: post(sandbox, conversion(conversion_id=str(index))), range(200))
        assert {answer.status_code for answer in answers} == {200}
    assert {r["conversion_id"] for r in sandbox.accepted()} == {str(index) for index in range(200)}
    assert sandbox.counts()["accepted"] == 200
