"""The status table: what X's verdict on a request means for each conversion in it, and what is logged of it."""

import re
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import assert_never

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import DeadLetterReason, Deferred, Delivered, Rejected
from xcapi_core.settings import Settings
from xcapi_core.x_api.errors import XError
from xcapi_core.x_api.protocol import (
    Accepted,
    NotFromX,
    RefusedConversions,
    RefusedCredentials,
    RefusedRequest,
    TooLarge,
    TransportFailure,
    Unavailable,
    Unconfirmed,
    Verdict,
)

__all__ = ["log_refuses_everything", "log_verdict", "loggable_code", "outcome_of", "rejection"]

# X: "Error codes and responses". Anything else, however much it looks like one, may be a value and is not logged.
_DOCUMENTED_CODES = frozenset(
    {"INVALID_PARAMETER", "UNAUTHORIZED_ACCESS", "UNAUTHORIZED_CLIENT_APPLICATION", "ROUTE_NOT_FOUND", "NOT_FOUND"}
    | {"CANCELLED_REQUEST", "LOCK_ACQUISITION_TIMEOUT", "TOO_MANY_REQUESTS"}
    | {"INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "OVER_CAPACITY"}
)
# A lone conversion that is larger was refused for its size; a smaller one by a proxy on the way.
_LARGE_BYTES = 64_000
# X's `debug_id` is a UUID; anything else may be what X was sent.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def outcome_of(verdict: Verdict, settings: Settings, *, body_bytes: int = 0) -> Delivered | Rejected | Deferred:
    """Return the outcome of every conversion of a request of `body_bytes` on which X gave this verdict.

    For `RefusedConversions` and `TooLarge` that is the outcome of a conversion that was alone in its request.
    """
    match verdict:
        case Accepted():
            return Delivered()
        case Unconfirmed(status, processed):
            return Rejected(
                reason=DeadLetterReason.UNCONFIRMED,
                http_status=status,
                error_message="X's answer names no number of processed conversions"
                if processed is None
                else f"X names {processed} processed conversions, another number than was sent",
            )
        case TooLarge() if body_bytes <= _LARGE_BYTES:
            return Deferred(nack_status=503, cause="too_large_for_a_proxy")
        case RefusedConversions(status, errors) | RefusedRequest(status, errors) | TooLarge(status, errors):
            return rejection(DeadLetterReason.REJECTED, status, errors)
        case RefusedCredentials(status, errors):
            if settings.on_unauthorized == "requeue":
                return Deferred(nack_status=503, cause="unauthorized")
            return rejection(DeadLetterReason.UNAUTHORIZED, status, errors)
        case Unavailable(HTTPStatus.TOO_MANY_REQUESTS):
            return Deferred(nack_status=429, cause="rate_limited")
        case Unavailable():
            return Deferred(nack_status=503, cause="x_unavailable")
        case NotFromX():
            return Deferred(nack_status=503, cause="not_from_x")
        case TransportFailure("insecure"):
            return Deferred(nack_status=503, cause="token_needs_https")
        case TransportFailure("timeout"):
            return Deferred(nack_status=503, cause="x_timeout")
        case TransportFailure():
            return Deferred(nack_status=503, cause="x_unreachable")
    assert_never(verdict)


def rejection(reason: DeadLetterReason, status: int, errors: Sequence[XError]) -> Rejected:
    """Carry X's own words into an outcome: the first error's code and parameter, all errors' messages."""
    first = errors[0] if errors else XError()
    return Rejected(
        reason=reason,
        http_status=status,
        error_code=first.code,
        error_parameter=first.parameter,
        error_message="; ".join(dict.fromkeys(error.message for error in errors if error.message)),
    )


def log_verdict(
    verdict: Verdict, conversions: Sequence[Conversion], *, log_ids: logs.HowToName, duration_ms: int
) -> None:
    """Write one line about one request: counts, statuses, durations, ids, and never X's words.

    Where X took it, the line names the conversions, and counts their kinds of identifiers and derived dedup keys.
    """
    facts: dict[str, logs.Scalar] = {
        "pixel_id": conversions[0].pixel_id,
        "conversions": len(conversions),
        "duration_ms": duration_ms,
    }
    match verdict:
        case Accepted(debug_id):
            named = ((conversion.pixel_id, conversion.conversion_id) for conversion in conversions)
            kinds = Counter(kind for conversion in conversions for kind in conversion.identifiers)
            facts |= {f"with_{kind}": count for kind, count in sorted(kinds.items())}
            facts["derived_ids"] = sum(conversion.has_derived_id for conversion in conversions)
            logs.emit_naming("INFO", "batch.delivered", named, log_ids, debug_id=_loggable_id(debug_id), **facts)
        case Unconfirmed(status, processed, debug_id):
            logs.emit(
                "ERROR",
                "batch.unconfirmed",
                http_status=status,
                processed=processed,
                debug_id=_loggable_id(debug_id),
                **facts,
            )
        case NotFromX(status):
            logs.emit("ERROR", "batch.not_from_x", http_status=status, **facts)
        case RefusedCredentials(status, errors):
            logs.emit("ERROR", "batch.unauthorized", http_status=status, error_code=_first_code(errors), **facts)
        case RefusedConversions(status, errors) | RefusedRequest(status, errors) | TooLarge(status, errors):
            logs.emit("WARNING", "batch.refused", http_status=status, error_code=_first_code(errors), **facts)
        case Unavailable(status):
            logs.emit("WARNING", "batch.deferred", http_status=status, **facts)
        case TransportFailure("insecure"):
            logs.emit("ERROR", "batch.deferred", cause="a pixel token needs https", **facts)
        case TransportFailure(kind):
            logs.emit("WARNING", "batch.deferred", cause=kind, **facts)


def log_refuses_everything(verdict: RefusedConversions, *, pixel_id: str) -> None:
    """Say that a pixel pauses, since X refuses whatever it is sent in the same words."""
    code = _first_code(verdict.errors)
    logs.emit("ERROR", "pixel.refuses_everything", pixel_id=pixel_id, http_status=verdict.status, error_code=code)


def loggable_code(code: str) -> str:
    """Return an error's code where X documents it, "" where it may be anything."""
    return code if code in _DOCUMENTED_CODES else ""


def _first_code(errors: Sequence[XError]) -> str:
    return loggable_code(errors[0].code) if errors else ""


def _loggable_id(debug_id: str) -> str:
    return debug_id if _UUID.fullmatch(debug_id) else ""
