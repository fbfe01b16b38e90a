"""X's answer (status, headers, body) → verdict, outcome, pause, and the bisection of the refused conversions."""

import json
import math
from collections.abc import Hashable, Sequence
from functools import cache
from http import HTTPStatus

from tests.fakes import conversion
from tests.fuzz.inputs import chosen, joined, parted, texts
from tests.fuzz.logged import LogTap
from tests.fuzz.mutation import Words
from tests.fuzz.planted import PERSONAL, assert_discreet
from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import Deferred, Delivered
from xcapi_core.settings import RateSettings, Settings
from xcapi_core.x_api.bisection import Bisection
from xcapi_core.x_api.pause import Pause
from xcapi_core.x_api.protocol import (
    Accepted,
    HttpResponse,
    NotFromX,
    RefusedConversions,
    Unavailable,
    Unconfirmed,
    Verdict,
    read_response,
)
from xcapi_core.x_api.rate_hints import read_rate_hint
from xcapi_core.x_api.rate_limiter import RateLimiter
from xcapi_core.x_api.status_table import log_verdict, outcome_of

__all__ = ["Answers"]

_AN_HOUR_S = 3_600.0  # the longest pause
_NOW_EPOCH_S = 1_776_688_500.0
_SENT = (1, 5, 500)
_STATUSES = (
    200,
    400,
    401,
    403,
    404,
    408,
    413,
    415,
    422,
    423,
    429,
    500,
    503,
    599,
    100,
    201,
    204,
    302,
    304,
    451,
    600,
    999,
)
_BAD: tuple[list[int], ...] = ([0], [4], [0, 2], [0, 1, 2, 3, 4])
_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"retry-after": "30"},
    {"retry-after": "Mon, 20 Apr 2026 12:36:00 GMT"},
    {"retry-after": "1e400"},
    {"retry-after": "-5"},
    {"x-rate-limit-remaining": "0", "x-rate-limit-reset": "1776688560"},
    {"x-account-rate-limit-remaining": "7", "x-account-rate-limit-reset": "1776689000"},
    {"x-account-rate-limit-reset": "99999999999999999999"},
    {"x-rate-limit-remaining": "1e308", "x-rate-limit-reset": "1e308"},
)
_FIELDS = ("hashed_email", "twclid", "ip_address", "event_id", "conversion_id", "identifiers", "account_id", "")
_MESSAGES = (
    "At least one user identifier must be provided",
    f"hashed_email ({PERSONAL['hashed_email']}) is not a valid SHA-256 hash",
    f"twclid ({PERSONAL['twclid']}2) is no good",
    f'Expected String, got "{PERSONAL["ip_address"]}" for ip_address',
    "event_id (o8z21) is not a single event tag (SET)",
    "conversion_id (c3) is no good",
    "Conversion count limit is 500",
    "User 7 does not have access to account 8",
    "twclid (" * 50,
    'got "' * 50 + '" for twclid',
    PERSONAL["email"],
)
_WORDS = Words(
    names=("errors", "code", "message", "parameter", "data", "conversions_processed", "debug_id", "request", "params"),
    values=(
        *_MESSAGES,
        *_FIELDS,
        *("INVALID_PARAMETER", "NOT_FOUND", "ROUTE_NOT_FOUND", "MALFORMED_JSON", "5", "5.0", 5, 500),
        "00000000-0000-0000-0000-000000000000",
        *({"code": "INVALID_PARAMETER", "message": message, "parameter": ""} for message in _MESSAGES),
    ),
    head={"status": _STATUSES, "headers": _HEADERS, "sent": _SENT, "bad": _BAD},
)
_POLICIES = tuple(
    Settings(dead_letter_topic="file:letters", pixels={}, on_unauthorized=policy)
    for policy in ("dead_letter", "requeue")
)


@cache
def _conversions() -> tuple[Conversion, ...]:
    """Five conversions of five people."""
    return tuple(
        conversion(
            f"c{number}",
            identifiers=[
                {
                    "twclid": f"{PERSONAL['twclid']}{number}",
                    "hashed_email": PERSONAL["hashed_email"],
                    "ip_address": PERSONAL["ip_address"],
                    "user_agent": PERSONAL["user_agent"],
                }
            ],
        )
        for number in range(5)
    )


class Answers:
    """Judges one answer."""

    name = "answers"
    words = _WORDS

    def seeds(self) -> list[bytes]:
        """Return X's documented answers, at every status, and pages that are not X's."""
        success = {"data": {"conversions_processed": 1, "debug_id": "00000000-0000-0000-0000-000000000000"}}
        bodies = [json.dumps(success).encode(), b"", b"<html>502</html>", b"null", b"\xff", b'{"errors":[{}]}']
        for message in _MESSAGES:
            error = {"code": "INVALID_PARAMETER", "message": message, "parameter": ""}
            bodies.append(json.dumps({"errors": [error, error], "request": {"params": {}}}).encode())
        heads = [{"status": status, "headers": headers} for status in (200, 400, 404) for headers in _HEADERS[:1]]
        heads += [{"status": status, "headers": _HEADERS[at % len(_HEADERS)]} for at, status in enumerate(_STATUSES)]
        return [joined(head, body) for head in heads for body in bodies]

    def run(self, data: bytes, log: LogTap) -> Hashable:
        """Judge it: one verdict, outcomes that can be told, a pause and a bisection that end."""
        head, body = parted(data)
        status, sent = chosen(head, "status", _STATUSES), chosen(head, "sent", _SENT)
        response = HttpResponse(status=status, headers=texts(head, "headers"), body=body)
        verdict = read_response(response, sent=sent)
        _assert_kind(verdict, status)
        assert_discreet("the repr of an answer", repr(response))
        assert_discreet("the repr of a verdict", repr(verdict))
        log_verdict(verdict, _conversions(), log_ids="digest", duration_ms=1)
        assert len(log.lines()) == 1, "not one line about one request"
        for settings in _POLICIES:
            outcome = outcome_of(verdict, settings)
            assert_discreet("the repr of an outcome", repr(outcome))
            assert isinstance(outcome, Delivered) == isinstance(verdict, Accepted)
            assert not isinstance(outcome, Deferred) or (
                outcome.nack_status in (429, 503) and outcome.cause.isidentifier()
            )
            _assert_pause_ends(response, outcome if isinstance(outcome, Deferred) else None)
        requests = 0
        if isinstance(verdict, RefusedConversions):
            requests = _bisect(verdict, frozenset(chosen(head, "bad", _BAD)))
        return type(verdict).__name__, status, requests


def _assert_kind(verdict: Verdict, status: int) -> None:
    match verdict:
        case Accepted() | Unconfirmed():
            assert 200 <= status < 300, "a success that is none"
        case NotFromX():
            assert status < HTTPStatus.BAD_REQUEST
        case Unavailable():
            assert status in {408, 423, 429} or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        case _:
            assert 400 <= status < 500, "a refusal that is none"


def _assert_pause_ends(response: HttpResponse, deferred: Deferred | None) -> None:
    hint = read_rate_hint(response.headers, now_epoch_s=_NOW_EPOCH_S)
    for delay_s in (hint.retry_after_s, hint.reset_after_s, hint.remaining):
        assert delay_s is None or (math.isfinite(delay_s) and delay_s >= 0), f"an unusable hint: {hint}"
    limiter, pause = RateLimiter(RateSettings(events=100, window_s=900.0)), Pause()
    reservation = limiter.reserve(1000.0, 5)
    assert reservation is not None
    reservation.settle(1000.0, charged=5)
    limiter.note_hint(1000.0, hint)
    if deferred is not None:
        pause.note_deferred(1000.0, hint, deferred)
    assert 1000.0 <= pause.ends_at(1000.0) <= 1000.0 + _AN_HOUR_S, "the pause does not end"
    assert 0 <= limiter.allowance(1000.0) <= 95, "more than our own budget"
    assert limiter.next_capacity_at(1000.0) <= 1000.0 + _AN_HOUR_S
    later = 1000.0 + _AN_HOUR_S
    assert pause.ends_at(later) == later
    assert limiter.allowance(later) == 100, "the budget does not come back"


def _bisect(verdict: RefusedConversions, bad: frozenset[int]) -> int:
    """Bisect five conversions, with these words for every refusal; return how many requests it took."""
    bisection = Bisection([conversion.wire for conversion in _conversions()], verdict.errors)
    settled: dict[int, Sequence[object] | None] = {}
    for requests in range(1, 20):
        for position, errors in bisection.take_refused().items():
            assert position not in settled, "two verdicts on one conversion"
            settled[position] = errors
        trial = bisection.next_trial()
        if not trial:
            assert sorted([*settled, *bisection.unsettled]) == list(range(5)), "a conversion was lost"
            return requests
        assert settled.keys().isdisjoint(trial), "sent again after its verdict"
        if bad.isdisjoint(trial):
            settled |= dict.fromkeys(trial)
            bisection.trial_settled()
        else:
            bisection.trial_refused(verdict.errors)
    raise AssertionError("a bisection without an end")
