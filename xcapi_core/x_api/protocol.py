"""X's Conversions API as values: a batch → an HTTP request, an HTTP response → what X made of it.

Nothing here does I/O; the adapter signs and sends. Sources: X Ads API reference, "Conversion event" (request and
answer), "Error codes and responses", "Rate limiting".
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar

import msgspec

from xcapi_core import __version__
from xcapi_core.conversions import Conversion
from xcapi_core.records import Record
from xcapi_core.x_api.errors import XError, is_about_access, is_about_request

__all__ = [
    "MAX_RESPONSE_BYTES",
    "Accepted",
    "HttpRequest",
    "HttpResponse",
    "NotFromX",
    "RefusedConversions",
    "RefusedCredentials",
    "RefusedRequest",
    "TooLarge",
    "TransportFailure",
    "Unavailable",
    "Unconfirmed",
    "Verdict",
    "build_request",
    "read_response",
]

_LARGEST_PROCESSED = 1_000_000
# X's real answers are a few hundred bytes; its longest, one error a conversion, stays under 500 × 300.
MAX_RESPONSE_BYTES = 1 << 20

# X: "Error codes and responses": 408 CANCELLED_REQUEST and 423 LOCK_ACQUISITION_TIMEOUT pass by themselves.
TRANSIENT_CLIENT_ERRORS = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS})
CREDENTIAL_ERRORS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class HttpRequest(Record, frozen=True, kw_only=True, gc=False):
    """One POST to X, unsigned. `body` holds identifiers, so it never shows in a `repr`."""

    _shown: ClassVar[tuple[str, ...]] = ("url", "conversions")

    url: str
    body: bytes
    conversions: int

    @property
    def headers(self) -> dict[str, str]:
        """Everything but the signature, which the adapter adds."""
        return {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"xcapi/{__version__}",
        }


class HttpResponse(Record, frozen=True, kw_only=True, gc=False):
    """What came back: `headers` with lower-case names, `body` read up to `MAX_RESPONSE_BYTES`."""

    _shown: ClassVar[tuple[str, ...]] = ("status",)

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportFailure(msgspec.Struct, frozen=True, gc=False):
    """No answer, by `kind`.

    "timeout"; "broken" (the connection broke before the answer: X may have the conversions); "connection" (there was
    none); "insecure" (a token that plain http would have shown).
    """

    kind: str


class Accepted(Record, frozen=True, gc=False):
    """200 and X processed as many conversions as were sent. `debug_id` may be anything, so no `repr` shows it."""

    debug_id: str


class Unconfirmed(Record, frozen=True, gc=False):
    """200 in X's form, but with another count than was sent, or none: X may have counted them or not."""

    _shown: ClassVar[tuple[str, ...]] = ("status", "processed")

    status: int
    processed: int | None
    debug_id: str


class NotFromX(msgspec.Struct, frozen=True, gc=False):
    """An answer that X does not give: a redirect, a 200 without X's JSON."""

    status: int


class RefusedCredentials(msgspec.Struct, frozen=True, gc=False):
    """401, 403 or a 404 about the user's access to the account: the keys, not the conversions."""

    status: int
    errors: tuple[XError, ...]


class RefusedConversions(msgspec.Struct, frozen=True, gc=False):
    """A 4xx that one or more conversions of the batch cause; which ones, X does not say."""

    status: int
    errors: tuple[XError, ...]


class RefusedRequest(msgspec.Struct, frozen=True, gc=False):
    """A 4xx that no conversion causes (unknown route, media type, too many conversions): nothing to bisect."""

    status: int
    errors: tuple[XError, ...]


class TooLarge(msgspec.Struct, frozen=True, gc=False):
    """413: the batch's bytes, not its conversions."""

    status: int
    errors: tuple[XError, ...]


class Unavailable(msgspec.Struct, frozen=True, gc=False):
    """408, 423, 429, 5xx: later. The time that X named, if any, is in the answer's `RateHint`."""

    status: int


Verdict = (
    Accepted
    | Unconfirmed
    | NotFromX
    | RefusedCredentials
    | RefusedConversions
    | RefusedRequest
    | TooLarge
    | Unavailable
    | TransportFailure
)


class _Success(msgspec.Struct):
    # Of any type: an odd count or id must not make conversions that X may have look undelivered.
    data: object = msgspec.UNSET
    errors: object = msgspec.UNSET


class _Failure(msgspec.Struct):
    errors: list[object]


_success = msgspec.json.Decoder(_Success)
_failure = msgspec.json.Decoder(_Failure)


def build_request(
    *, api_base_url: str, api_version: str, pixel_id: str, conversions: Sequence[Conversion]
) -> HttpRequest:
    """Join the conversions' wire forms into X's body; each was encoded once, when its event was read.

    Source: X Ads API reference, `POST /12/measurement/conversions/:pixel_id`, at most 500 conversions.
    """
    return HttpRequest(
        url=f"{api_base_url}/{api_version}/measurement/conversions/{pixel_id}",
        body=b'{"conversions":[' + b",".join(conversion.wire for conversion in conversions) + b"]}",
        conversions=len(conversions),
    )


def read_response(response: HttpResponse, *, sent: int) -> Verdict:
    """Judge X's answer to a request that carried `sent` conversions. Never raises, whatever came back."""
    status = response.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _read_success(response, sent)
    if status in TRANSIENT_CLIENT_ERRORS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(status)
    if status < HTTPStatus.BAD_REQUEST:
        return NotFromX(status)
    errors = _read_errors(response.body)
    if status in CREDENTIAL_ERRORS or is_about_access(status, errors):
        return RefusedCredentials(status, errors)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(status, errors)
    if is_about_request(status, errors):
        return RefusedRequest(status, errors)
    return RefusedConversions(status, errors)


def _read_success(response: HttpResponse, sent: int) -> Verdict:
    try:
        answer = _success.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return NotFromX(response.status)
    if answer.data is msgspec.UNSET and answer.errors is msgspec.UNSET:
        return NotFromX(response.status)
    data = answer.data if isinstance(answer.data, dict) else {}
    debug_id = data.get("debug_id")
    debug_id = debug_id if isinstance(debug_id, str) else ""
    processed = _read_count(data.get("conversions_processed"))
    if processed == sent:
        return Accepted(debug_id)
    return Unconfirmed(response.status, processed, debug_id)


def _read_count(count: object) -> int | None:
    """Return X's count; 1.0, or "1", is one: a conversion that X has must not end as one that it may not have.

    A number that no count can be is somebody's: it is not repeated in a log or a dead letter.
    """
    try:
        whole = msgspec.convert(count, int, strict=False)
    except msgspec.ValidationError:
        return None
    return None if isinstance(count, bool) or abs(whole) > _LARGEST_PROCESSED else whole


def _read_errors(body: bytes) -> tuple[XError, ...]:
    """X's `errors`, whatever of it is readable; some error bodies are no JSON, then the status is all there is."""
    try:
        answer = _failure.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    return tuple(XError.from_json(error) for error in answer.errors if isinstance(error, dict))
