"""The request's bytes, and the status table: every kind of answer → what X made of the batch."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import conversion
from xcapi_core.conversions import Conversion
from xcapi_core.x_api.errors import XError
from xcapi_core.x_api.protocol import (
    Accepted,
    HttpRequest,
    HttpResponse,
    NotFromX,
    RefusedConversions,
    RefusedCredentials,
    RefusedRequest,
    TooLarge,
    Unavailable,
    Unconfirmed,
    Verdict,
    build_request,
    read_response,
)
from xcapi_core.x_api.rate_hints import read_rate_hint

DEBUG_ID = "8c6d0f7e-1d1a-4d6c-9a2e-0f4f6d0c9b1a"
# X's own example (API reference, "Conversion event").
X_ANSWER = (
    b'{"request":{"params":{"account_id":"18ce552mlaq"}},'
    b'"data":{"conversions_processed":1,"debug_id":"' + DEBUG_ID.encode() + b'"}}'
)


def request(*conversions: Conversion) -> HttpRequest:
    return build_request(
        api_base_url="https://ads-api.x.com", api_version="12", pixel_id="o8z6j", conversions=conversions
    )


def judge(status: int, body: bytes = b"", *, sent: int = 1) -> Verdict:
    return read_response(HttpResponse(status=status, headers={}, body=body), sent=sent)


def errors(*errors: object) -> bytes:
    return msgspec.json.encode({"errors": list(errors), "request": {"params": {}}})


# --- the request ---


def test_body_is_x_s_object_of_the_conversions_wires_byte_for_byte() -> None:
    one = Conversion(pixel_id="o8z6j", event_tag="t", conversion_id="1", wire='{"a":"é"}'.encode())
    two = Conversion(pixel_id="o8z6j", event_tag="t", conversion_id="2", wire=b'{"value":"20.00"}')
    assert request(one).body == '{"conversions":[{"a":"é"}]}'.encode()
    assert request(one, two).body == '{"conversions":[{"a":"é"},{"value":"20.00"}]}'.encode()


def test_url_is_that_of_x_s_reference() -> None:
    assert request(conversion("1")).url == "https://ads-api.x.com/12/measurement/conversions/o8z6j"


def test_body_is_declared_as_json() -> None:
    assert request(conversion("1")).headers["Content-Type"] == "application/json"


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20))
def test_request_holds_the_conversions_in_order_and_says_how_many(conversion_ids: list[str]) -> None:
    built = request(*(conversion(conversion_id) for conversion_id in conversion_ids))
    assert [item["conversion_id"] for item in json.loads(built.body)["conversions"]] == conversion_ids
    assert built.conversions == len(conversion_ids)


def test_neither_request_nor_response_shows_what_it_holds() -> None:
    built = request(conversion("jane@example.com", twclid="23opevjt88psuo13lu8d020qkn"))
    answered = HttpResponse(status=400, headers={"set-cookie": "jane@example.com"}, body=b"jane@example.com")
    shown = repr(built) + repr(answered) + repr(conversion("jane@example.com"))
    assert "jane" not in shown
    assert "23op" not in shown


# --- answers: 2xx ---


def test_x_s_own_example_of_success_is_accepted() -> None:
    assert judge(200, X_ANSWER) == Accepted(DEBUG_ID)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"conversions_processed":2}}',
        b'{"data":{"conversions_processed":2.0}}',
        b'{"data":{"conversions_processed":"2"}}',
        b'{"data":{"conversions_processed":2,"debug_id":null}}',
        b'{"data":{"conversions_processed":2,"debug_id":17}}',
        b'{"data":{"conversions_processed":2,"debug_id":{"a":[]}}}',
    ],
)
def test_count_is_what_matters_however_it_is_written_and_whatever_the_debug_id_is(body: bytes) -> None:
    assert judge(200, body, sent=2) == Accepted("")


def test_fields_that_nobody_knows_are_no_obstacle() -> None:
    body = b' {"new":{"a":[1]}, "data":{"conversions_processed":2,"warnings":["w"],"debug_id":"d"}, "z":null} \n'
    assert judge(200, body, sent=2) == Accepted("d")


@pytest.mark.parametrize("processed", [0, 1, 3, -1, 500])
def test_another_count_is_unconfirmed_and_named(processed: int) -> None:
    body = msgspec.json.encode({"data": {"conversions_processed": processed, "debug_id": "d"}})
    assert judge(200, body, sent=2) == Unconfirmed(200, processed, "d")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"OK",
        b"<!DOCTYPE html><title>Welcome to the hotel</title>",
        b'{"request":{}}',
        b'{"data":{"conversions_processed":NaN}}',
        X_ANSWER[:-1],
        X_ANSWER + b"{}",
        b"\xff\xfe" + X_ANSWER,
        b'{"data":{"conversions_processed":1,"debug_id":"\xff"}}',
        b"[" * 100_000,
        b'{"data":' * 100_000,
    ],
)
def test_200_without_x_s_json_is_not_from_x(body: bytes) -> None:
    assert judge(200, body) == NotFromX(200)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":null}',
        b'{"data":[]}',
        b'{"data":{}}',
        b'{"errors":[]}',
        b'{"errors":[{"code":"INVALID_PARAMETER"}],"data":null}',
        b'{"data":{"conversions_processed":null}}',
        b'{"data":{"conversions_processed":"one"}}',
        b'{"data":{"conversions_processed":true}}',
        b'{"data":{"conversions_processed":1.5}}',
        b'{"data":{"conversions_processed":' + b"9" * 30 + b"}}",
    ],
)
def test_200_in_x_s_form_without_a_count_is_unconfirmed(body: bytes) -> None:
    assert judge(200, body) == Unconfirmed(200, None, "")


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_another_2xx_counts_by_its_body_too(status: int) -> None:
    assert judge(status, X_ANSWER) == Accepted(DEBUG_ID)
    assert judge(status) == NotFromX(status)


# --- answers: the rest of the table, with X's words from its reference ---

INVALID = "INVALID_PARAMETER"
NO_IDENTIFIER = {"code": INVALID, "message": "At least one user identifier must be provided", "parameter": ""}
BAD_HASH = {"code": INVALID, "message": "hashed_email (abc) is not a valid SHA-256 hash", "parameter": "hashed_email"}
NOT_A_SET = {"code": INVALID, "message": "event_id (o6dkt) is not a single event tag (SET)", "parameter": "event_id"}
BAD_TIME = {
    "code": INVALID,
    "message": 'Expected Time in yyyy-MM-ddTHH:mm:ss.SSSZ, got "2026-04-20" for conversion_time',
    "parameter": "conversion_time",
}
NOT_THE_ACCOUNTS = {"code": "NOT_FOUND", "message": "event_id (abc) does not belong to provided account"}
NO_ROUTE = {"code": "ROUTE_NOT_FOUND", "message": "The requested resource could not be found", "parameter": ""}
NO_ACCESS = {"code": "NOT_FOUND", "message": "User 1 does not have access to account 18ce552mlaq"}
TOO_MANY = {"message": "Conversion count limit is 500"}
UNAUTHORIZED = {"code": "UNAUTHORIZED_ACCESS", "message": "This request is not properly authenticated"}
NO_API_ACCESS = {"code": "UNAUTHORIZED_CLIENT_APPLICATION", "message": "The client application is not permitted"}


@pytest.mark.parametrize(
    ("status", "error", "verdict"),
    [
        (400, NO_IDENTIFIER, RefusedConversions),
        (400, BAD_HASH, RefusedConversions),
        (400, NOT_A_SET, RefusedConversions),
        (400, BAD_TIME, RefusedConversions),
        (400, {"message": "Event ID was not found"}, RefusedConversions),
        (422, NO_IDENTIFIER, RefusedConversions),
        (404, NOT_THE_ACCOUNTS, RefusedConversions),
        (404, NO_ROUTE, RefusedRequest),
        (404, NO_ACCESS, RefusedCredentials),
        (400, TOO_MANY, RefusedRequest),
        (413, {}, TooLarge),
        (415, {}, RefusedRequest),
        (404, {"message": "Event tag not found"}, RefusedConversions),
        (405, {}, RefusedConversions),
        (409, {}, RefusedConversions),
        (410, {}, RefusedConversions),
        (418, {}, RefusedConversions),
        (451, {}, RefusedConversions),
        (401, UNAUTHORIZED, RefusedCredentials),
        (403, NO_API_ACCESS, RefusedCredentials),
        # Whatever a 401 says, the keys come first: nothing was judged under them.
        (401, NO_IDENTIFIER, RefusedCredentials),
    ],
)
def test_refusal_is_told_apart_by_whom_it_is_about(
    status: int,
    error: dict[str, str],
    verdict: type[RefusedConversions | RefusedRequest | RefusedCredentials | TooLarge],
) -> None:
    judged = judge(status, errors(error))
    assert type(judged) is verdict
    assert judged == verdict(status, (XError(**error),))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (408, "CANCELLED_REQUEST"),
        (423, "LOCK_ACQUISITION_TIMEOUT"),
        (429, "TOO_MANY_REQUESTS"),
        (500, "INTERNAL_ERROR"),
        (502, ""),
        (503, "SERVICE_UNAVAILABLE"),
        (503, "OVER_CAPACITY"),
        (504, ""),
        (520, ""),
        (599, ""),
        (999, ""),
    ],
)
@pytest.mark.parametrize("with_json", [True, False])
def test_what_passes_by_itself_is_unavailable_whatever_its_body_says(
    status: int, code: str, *, with_json: bool
) -> None:
    body = errors({"code": code, **NO_IDENTIFIER}) if with_json else b"<html>upstream is sad</html>"
    assert judge(status, body) == Unavailable(status)


@pytest.mark.parametrize("status", [100, 101, 103, 300, 301, 302, 303, 304, 307, 308, 399])
def test_what_x_never_answers_is_not_from_x_even_with_x_s_json(status: int) -> None:
    assert judge(status, X_ANSWER) == NotFromX(status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Bad Request",
        b"<html></html>",
        b"{}",
        b"[]",
        b'{"errors":{}}',
        b'{"errors":null}',
        b"[" * 100_000,
        b"\xff",
        b'{"errors":["\xff"]}',
    ],
)
def test_unreadable_words_leave_the_status_alone_to_judge_by(body: bytes) -> None:
    assert judge(400, body) == RefusedConversions(400, ())
    assert judge(404, body) == RefusedConversions(404, ())
    assert judge(403, body) == RefusedCredentials(403, ())


def test_readable_errors_are_kept_among_unreadable_ones() -> None:
    body = errors(None, 17, "text", [], {"message": "Event ID was not found", "code": None, "parameter": 3, "more": {}})
    assert judge(400, body) == RefusedConversions(400, (XError(message="Event ID was not found"),))


# --- whatever comes ---

_VERDICTS = (
    Accepted
    | Unconfirmed
    | NotFromX
    | RefusedCredentials
    | RefusedConversions
    | RefusedRequest
    | TooLarge
    | Unavailable
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["errors", "data", "conversions_processed", "debug_id", "code", "message", "parameter"])
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
_bodies = st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))


@given(
    status=st.integers(0, 999) | st.integers(),
    headers=st.dictionaries(st.sampled_from(["retry-after", "x-rate-limit-reset", "content-type"]), st.text()),
    body=_bodies,
    sent=st.integers(1, 500),
)
def test_any_answer_gets_a_verdict(status: int, headers: dict[str, str], body: bytes, sent: int) -> None:
    answered = HttpResponse(status=status, headers=headers, body=body)
    verdict = read_response(answered, sent=sent)
    assert isinstance(verdict, _VERDICTS)
    assert isinstance(verdict, Accepted | Unconfirmed) <= (200 <= status < 300)
    read_rate_hint(headers, now_epoch_s=1_790_000_000.0)


@given(st.integers(0, 600), st.integers(1, 500))
def test_success_is_the_very_number_that_was_sent(processed: int, sent: int) -> None:
    body = msgspec.json.encode({"data": {"conversions_processed": processed}})
    expected = Accepted("") if processed == sent else Unconfirmed(200, processed, "")
    assert judge(200, body, sent=sent) == expected
