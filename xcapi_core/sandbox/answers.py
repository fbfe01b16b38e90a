"""X's answers: bodies, codes and wording, each from X's reference unless marked otherwise."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

__all__ = [
    "CONVERSION_LIMIT",
    "EMPTY_REQUEST",
    "NOT_JSON",
    "NO_ADS_API_ACCESS",
    "ROUTE_NOT_FOUND",
    "STATUS_ERRORS",
    "TOO_LARGE",
    "TOO_MANY_REQUESTS",
    "UNAUTHORIZED",
    "WRONG_CONTENT_TYPE",
    "Answer",
    "ApiError",
    "error_answer",
    "no_account_access",
    "success_answer",
]


@dataclass(frozen=True, slots=True)
class ApiError:
    """One entry of X's `errors` array. X gives no index; `parameter` is left out where X leaves it out."""

    code: str
    message: str
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        """Return the entry as X writes it."""
        entry = {"code": self.code, "message": self.message}
        if self.parameter is not None:
            entry["parameter"] = self.parameter
        return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, before it is written. `error_codes` are those of the body, for the request log."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=utf-8"
    error_codes: tuple[str, ...] = ()


ROUTE_NOT_FOUND: Final = ApiError("ROUTE_NOT_FOUND", "The requested resource could not be found")
UNAUTHORIZED: Final = ApiError("UNAUTHORIZED_ACCESS", "This request is not properly authenticated")
NO_ADS_API_ACCESS: Final = ApiError(
    "UNAUTHORIZED_CLIENT_APPLICATION",
    # As X writes it, empty brackets and all.
    "The client application with id <> making this request does not have access to Twitter Ads API. Ensure your "
    "application has advertiser-api access. Use 'twurl accounts' and 'twurl set default <username> <key>' to change "
    "the application you're using.",
)
CONVERSION_LIMIT: Final = ApiError("INVALID_PARAMETER", "Conversion count limit is 500", "conversions")
TOO_MANY_REQUESTS: Final = ApiError(
    "TOO_MANY_REQUESTS", "You have exceeded the number of requests permitted for this endpoint"
)
# The next four are not documented by X; they take X's form and, where there is one, the wording of X's other APIs.
EMPTY_REQUEST: Final = ApiError("MISSING_PARAMETER", '"conversions" is a required parameter', "conversions")
NOT_JSON: Final = ApiError("INVALID", "Request body is not valid JSON")
WRONG_CONTENT_TYPE: Final = ApiError(
    "UNSUPPORTED_MEDIA_TYPE", "Requests with bodies must have content-type of application/json"
)
TOO_LARGE: Final = ApiError("REQUEST_ENTITY_TOO_LARGE", "The request body is too large")

# What X says with a status when nothing in the request is at fault. Used by injected faults.
STATUS_ERRORS: Final[Mapping[int, ApiError]] = MappingProxyType(
    {
        400: ApiError("INVALID_PARAMETER", "At least one user identifier must be provided", ""),
        401: UNAUTHORIZED,
        403: NO_ADS_API_ACCESS,
        404: ROUTE_NOT_FOUND,
        408: ApiError("CANCELLED_REQUEST", "The request has been cancelled"),
        413: TOO_LARGE,
        415: WRONG_CONTENT_TYPE,
        423: ApiError("LOCK_ACQUISITION_TIMEOUT", "The requested resource is locked"),
        429: TOO_MANY_REQUESTS,
        500: ApiError("INTERNAL_ERROR", "An internal error has occurred"),
        503: ApiError("SERVICE_UNAVAILABLE", "The service is temporarily unavailable"),
    }
)


def no_account_access(user_id: str, account_id: str) -> ApiError:
    """Return the 404 for a pixel whose account the user cannot see."""
    message = (
        f"User {user_id} does not have access to account {account_id}. "
        f"Type 'sn {user_id}’ to get the handle of the user. "
        "Use 'twurl accounts' and 'twurl set default <username> <key>' to change the user you're using."
    )
    return ApiError("NOT_FOUND", message, "account_id")


def error_answer(
    status: int,
    errors: Sequence[ApiError],
    *,
    account_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return X's error body: every applicable error in one array."""
    body = {
        "errors": [error.as_json() for error in errors],
        "request": {"params": {"account_id": account_id} if account_id else {}},
    }
    return Answer(
        status=status,
        body=json.dumps(body, separators=(",", ":")).encode(),
        headers=headers or {},
        error_codes=tuple(sorted({error.code for error in errors})),
    )


def success_answer(account_id: str, processed: int, debug_id: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the 200: a success only because `conversions_processed` is what was sent."""
    body = {
        "request": {"params": {"account_id": account_id}},
        "data": {"conversions_processed": processed, "debug_id": debug_id},
    }
    return Answer(status=200, body=json.dumps(body, separators=(",", ":")).encode(), headers=headers or {})
