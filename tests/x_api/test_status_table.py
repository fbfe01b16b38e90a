"""The README's outcome table, row by row: what X answers → where each conversion ends, and what the log says of it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from tests.fakes import conversion, failed, ok
from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import DeadLetterReason, Deferred, Delivered, Outcome, Rejected
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.x_api.errors import XError
from xcapi_core.x_api.protocol import (
    Accepted,
    HttpResponse,
    TransportFailure,
    Unconfirmed,
    Verdict,
    read_response,
)
from xcapi_core.x_api.status_table import log_verdict, loggable_code, outcome_of, rejection

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SENT = 3
BATCH: list[Conversion] = [
    msgspec.structs.replace(
        conversion(f"order-{number}"), identifiers=("twclid", "hashed_email")[: number + 1], has_derived_id=number == 2
    )
    for number in range(SENT)
]
# A value of a conversion, which X's words quote.
PERSONAL = "jane.doe@example.com"


def settings(on_unauthorized: str = "dead_letter") -> Settings:
    pixel = PixelSettings(pixel_id="o8z6j", credentials="env:KEYS", event_ids={})
    return Settings(
        dead_letter_topic="file:x",
        pixels={"o8z6j": pixel},
        on_unauthorized=on_unauthorized,  # type: ignore[arg-type]  # one of the two words
    )


def verdict_on(answer: HttpResponse | TransportFailure) -> Verdict:
    return answer if isinstance(answer, TransportFailure) else read_response(answer, sent=SENT)


def html(status: int) -> HttpResponse:
    return HttpResponse(status=status, headers={}, body=b"<html>hello</html>")


def rejected(status: int, code: str = "", message: str = "", parameter: str = "") -> Rejected:
    return Rejected(
        reason=DeadLetterReason.REJECTED,
        http_status=status,
        error_code=code,
        error_parameter=parameter,
        error_message=message,
    )


BAD_HASH = {
    "code": "INVALID_PARAMETER",
    "message": f"hashed_email ({PERSONAL}) is not a valid SHA-256 hash",
    "parameter": "hashed_email",
}
UNAUTHORIZED = {"code": "UNAUTHORIZED_ACCESS", "message": "This request is not properly authenticated"}
NO_API_ACCESS = {"code": "UNAUTHORIZED_CLIENT_APPLICATION", "message": "no access"}
NOT_THE_ACCOUNTS = {"code": "NOT_FOUND", "message": "event_id (abc) does not belong to provided account"}
NO_ACCESS = {"code": "NOT_FOUND", "message": "User 1 does not have access to account 18ce552mlaq"}
TOO_MANY = {"message": "Conversion count limit is 500"}
NO_ROUTE = {"code": "ROUTE_NOT_FOUND", "message": "The requested resource could not be found"}
LATER = Deferred(nack_status=503, cause="x_unavailable")
STRANGER = Deferred(nack_status=503, cause="not_from_x")

# The README's first column → X's answers of that kind, and the outcome of every conversion of the request.
TABLE: dict[str, list[tuple[HttpResponse | TransportFailure, Outcome]]] = {
    "200, as many as were sent": [(ok(SENT), Delivered())],
    "200 in X's form, another number or none": [
        *(
            (
                ok(processed),
                Rejected(
                    reason=DeadLetterReason.UNCONFIRMED,
                    http_status=200,
                    error_message=f"X names {processed} processed conversions, another number than was sent",
                ),
            )
            for processed in (0, SENT - 1, SENT + 1)
        ),
        *(
            (
                HttpResponse(status=200, headers={}, body=body),
                Rejected(
                    reason=DeadLetterReason.UNCONFIRMED,
                    http_status=200,
                    error_message="X's answer names no number of processed conversions",
                ),
            )
            for body in (b'{"data":{}}', b'{"errors":[]}', b'{"data":null}')
        ),
    ],
    "200 or a redirect that is not X's answer": [
        (html(200), STRANGER),
        (HttpResponse(status=200, headers={}, body=b"{}"), STRANGER),
        (html(302), STRANGER),
        (HttpResponse(status=307, headers={"location": "https://elsewhere.example"}, body=b""), STRANGER),
    ],
    "400, 404, 409, 410, 422, any other 4xx": [
        (failed(400, BAD_HASH), rejected(400, **BAD_HASH)),
        (failed(422, BAD_HASH), rejected(422, **BAD_HASH)),
        (failed(404, NOT_THE_ACCOUNTS), rejected(404, **NOT_THE_ACCOUNTS)),
        (failed(404, {"message": "Event tag not found"}), rejected(404, message="Event tag not found")),
        (html(400), rejected(400)),
        (html(404), rejected(404)),
        (html(409), rejected(409)),
        (html(410), rejected(410)),
        (html(418), rejected(418)),
    ],
    "413": [(html(413), Deferred(nack_status=503, cause="too_large_for_a_proxy"))],
    "401, 403, 404 without access to the account": [
        (
            failed(401, UNAUTHORIZED),
            Rejected(
                reason=DeadLetterReason.UNAUTHORIZED,
                http_status=401,
                error_code="UNAUTHORIZED_ACCESS",
                error_message="This request is not properly authenticated",
            ),
        ),
        (
            failed(403, NO_API_ACCESS),
            Rejected(
                reason=DeadLetterReason.UNAUTHORIZED,
                http_status=403,
                error_code="UNAUTHORIZED_CLIENT_APPLICATION",
                error_message="no access",
            ),
        ),
        (
            failed(404, NO_ACCESS),
            Rejected(
                reason=DeadLetterReason.UNAUTHORIZED,
                http_status=404,
                error_code="NOT_FOUND",
                error_message=NO_ACCESS["message"],
            ),
        ),
    ],
    "404 without a route, 415, too many conversions": [
        (failed(404, NO_ROUTE), rejected(404, **NO_ROUTE)),
        (html(415), rejected(415)),
        (failed(400, TOO_MANY), rejected(400, **TOO_MANY)),
    ],
    "408, 423, 429, 5xx, nothing": [
        (failed(408), LATER),
        (failed(423), LATER),
        (failed(429), Deferred(nack_status=429, cause="rate_limited")),
        (failed(500, BAD_HASH), LATER),
        (html(502), LATER),
        (failed(503), LATER),
        (TransportFailure("timeout"), Deferred(nack_status=503, cause="x_timeout")),
        (TransportFailure("connection"), Deferred(nack_status=503, cause="x_unreachable")),
        (TransportFailure("broken"), Deferred(nack_status=503, cause="x_unreachable")),
        (TransportFailure("insecure"), Deferred(nack_status=503, cause="token_needs_https")),
    ],
}
CASES = [(answer, outcome) for row in TABLE.values() for answer, outcome in row]


def readme_rows() -> list[str]:
    lines = README.partition("## Where an event ends")[2].partition("\n## ")[0].splitlines()
    cells = [line.strip("| ").split(" | ")[0] for line in lines if line.startswith("|")]
    # Without the head and its rule. The last rows are never asked about: tests/deliveries/test_handler.py.
    return [cell for cell in cells[2:] if cell != "(never asked)"]


def test_table_is_the_readme_s() -> None:
    assert list(TABLE) == readme_rows()


@pytest.mark.parametrize(("answer", "outcome"), CASES)
def test_answer_has_the_outcome_of_its_row(answer: HttpResponse | TransportFailure, outcome: Outcome) -> None:
    assert outcome_of(verdict_on(answer), settings()) == outcome


@pytest.mark.parametrize("status", [401, 403])
def test_refused_keys_are_nacked_where_the_configuration_says_so(status: int) -> None:
    unauthorized = Deferred(nack_status=503, cause="unauthorized")
    assert outcome_of(verdict_on(failed(status, UNAUTHORIZED)), settings("requeue")) == unauthorized


@pytest.mark.parametrize(("answer", "outcome"), [case for case in CASES if "unauthorized" not in str(case[1])])
def test_that_setting_changes_nothing_else(answer: HttpResponse | TransportFailure, outcome: Outcome) -> None:
    assert outcome_of(verdict_on(answer), settings("requeue")) == outcome


# --- X's words ---


def test_rejection_carries_all_messages_once_and_the_first_error_s_code() -> None:
    errors = [
        XError(code="INVALID_PARAMETER", message="one", parameter="event_id"),
        XError(code="NOT_FOUND", message="two"),
        XError(message="one"),
        XError(code="EMPTY"),
    ]
    assert rejection(DeadLetterReason.REJECTED, 400, errors) == rejected(
        400, "INVALID_PARAMETER", "one; two", "event_id"
    )


def test_rejection_without_a_word_of_x_s_has_its_status() -> None:
    assert rejection(DeadLetterReason.UNAUTHORIZED, 401, ()) == Rejected(
        reason=DeadLetterReason.UNAUTHORIZED, http_status=401
    )


def test_x_s_words_do_not_show_in_an_outcome_s_repr() -> None:
    assert PERSONAL not in repr(outcome_of(verdict_on(failed(400, BAD_HASH)), settings()))


@pytest.mark.parametrize("field", ["code", "message", "parameter"])
@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_value_in_whatever_field_of_x_s_error_shows_in_no_repr(field: str, status: int) -> None:
    verdict = verdict_on(failed(status, BAD_HASH | {field: PERSONAL}))
    assert PERSONAL not in repr(verdict)
    assert PERSONAL not in repr(outcome_of(verdict, settings()))


@pytest.mark.parametrize("processed", [1, 2])
def test_a_value_in_place_of_x_s_debug_id_shows_in_no_repr(processed: int) -> None:
    answer = {"data": {"conversions_processed": processed, "debug_id": PERSONAL}}
    verdict = verdict_on(HttpResponse(status=200, headers={}, body=json.dumps(answer).encode()))
    assert isinstance(verdict, Accepted | Unconfirmed)
    assert PERSONAL not in repr(verdict)


@pytest.mark.parametrize("processed", [442079460947, "442079460947", -442079460947])
def test_number_that_is_no_count_shows_nowhere(processed: object, capfd: pytest.CaptureFixture[str]) -> None:
    answer = {"data": {"conversions_processed": processed}}
    verdict = verdict_on(HttpResponse(status=200, headers={}, body=json.dumps(answer).encode()))
    assert isinstance(verdict, Unconfirmed)
    assert verdict.processed is None
    assert "2079460947" not in str(logged(verdict, capfd))


# --- what is logged ---


def logged(verdict: Verdict, capfd: pytest.CaptureFixture[str]) -> Mapping[str, object]:
    log_verdict(verdict, BATCH, log_ids="digest", duration_ms=12)
    (line,) = capfd.readouterr().out.splitlines()
    entry: dict[str, object] = json.loads(line)
    return entry


@pytest.mark.parametrize(
    ("answer", "severity", "event", "facts"),
    [
        (ok(SENT), "INFO", "batch.delivered", {"debug_id": "00000000-0000-0000-0000-000000000000"}),
        (ok(1), "ERROR", "batch.unconfirmed", {"processed": 1, "http_status": 200}),
        (html(200), "ERROR", "batch.not_from_x", {"http_status": 200}),
        (html(302), "ERROR", "batch.not_from_x", {"http_status": 302}),
        (failed(401, UNAUTHORIZED), "ERROR", "batch.unauthorized", {"error_code": "UNAUTHORIZED_ACCESS"}),
        (failed(400, BAD_HASH), "WARNING", "batch.refused", {"error_code": "INVALID_PARAMETER", "http_status": 400}),
        (failed(404, NO_ROUTE), "WARNING", "batch.refused", {"error_code": "ROUTE_NOT_FOUND"}),
        (failed(503), "WARNING", "batch.deferred", {"http_status": 503}),
        (TransportFailure("timeout"), "WARNING", "batch.deferred", {"cause": "timeout"}),
        (TransportFailure("insecure"), "ERROR", "batch.deferred", {"cause": "a pixel token needs https"}),
    ],
)
def test_each_request_is_one_line_with_a_stable_name(
    answer: HttpResponse | TransportFailure,
    severity: str,
    event: str,
    facts: Mapping[str, object],
    capfd: pytest.CaptureFixture[str],
) -> None:
    entry = logged(verdict_on(answer), capfd)
    assert (entry["severity"], entry["event"]) == (severity, event)
    assert {name: entry[name] for name in facts} == facts
    assert (entry["pixel_id"], entry["conversions"], entry["duration_ms"]) == ("o8z6j", SENT, 12)


@pytest.mark.parametrize(("answer", "outcome"), CASES)
def test_no_line_quotes_x(
    answer: HttpResponse | TransportFailure, outcome: Outcome, capfd: pytest.CaptureFixture[str]
) -> None:
    assert outcome is not None
    line = json.dumps(logged(verdict_on(answer), capfd))
    assert PERSONAL not in line
    assert "SHA-256" not in line


@pytest.mark.parametrize("status", [400, 401, 404])
@pytest.mark.parametrize("field", ["code", "message", "parameter"])
def test_a_value_in_whatever_field_of_x_s_error_is_not_logged(
    status: int, field: str, capfd: pytest.CaptureFixture[str]
) -> None:
    value = "+44 20 7946 0018"
    assert value not in json.dumps(logged(verdict_on(failed(status, {field: value})), capfd))


@pytest.mark.parametrize("debug_id", ["203.0.113.7", PERSONAL, "a" * 65, "1\n2", ""])
def test_debug_id_is_logged_only_where_it_can_be_one(debug_id: str, capfd: pytest.CaptureFixture[str]) -> None:
    body = msgspec.json.encode({"data": {"conversions_processed": SENT, "debug_id": debug_id}})
    assert logged(verdict_on(HttpResponse(status=200, headers={}, body=body)), capfd)["debug_id"] == ""


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("INVALID_PARAMETER", "INVALID_PARAMETER"),
        ("TOO_MANY_REQUESTS", "TOO_MANY_REQUESTS"),
        ("JANE_DOE", ""),
        ("DE89370400440532013000", ""),
        ("invalid", ""),
        ("A", ""),
        ("A" * 65, ""),
        ("WITH SPACE", ""),
        ("GOOD\n", ""),
        ("44_20", ""),
        (PERSONAL, ""),
    ],
)
def test_error_code_is_logged_only_where_x_documents_it(code: str, shown: str) -> None:
    assert loggable_code(code) == shown


def test_causes_are_single_words_fit_for_a_nack_s_body() -> None:
    causes = {outcome.cause for _, outcome in CASES if isinstance(outcome, Deferred)}
    assert len(causes) == 7
    assert all(re.fullmatch(r"[a-z_]+", cause) for cause in causes)


def test_what_x_took_is_named_and_its_kinds_of_identifiers_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    entry = logged(Accepted(""), capfd)
    # printf 'o8z6j|order-0' | sha256sum, and so on
    assert entry["conversion_digests"] == ["2b65ec80caa2411c", "5b2aa48edbdd62cd", "42d4bd7b8fdcdb2b"]
    assert (entry["with_twclid"], entry["with_hashed_email"], entry["derived_ids"]) == (3, 2, 1)


def test_a_lone_conversion_above_64_kb_is_rejected_for_its_size() -> None:
    verdict = verdict_on(failed(413, {"message": "too large"}))
    assert outcome_of(verdict, settings(), body_bytes=64_001) == rejected(413, message="too large")
    assert isinstance(outcome_of(verdict, settings(), body_bytes=64_000), Deferred)
