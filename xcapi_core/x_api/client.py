"""One batch to X and back: keys, signature, answer, and what the answer means for the pixel's gate and keys."""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Protocol

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import Deferred
from xcapi_core.settings import Settings
from xcapi_core.x_api.credential_cache import CredentialsUnavailable, Keyring
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import (
    Accepted,
    HttpRequest,
    HttpResponse,
    RefusedConversions,
    RefusedCredentials,
    RefusedRequest,
    TransportFailure,
    Unavailable,
    Unconfirmed,
    Verdict,
    build_request,
    read_response,
)
from xcapi_core.x_api.rate_limiter import Pacer, read_rate_hint
from xcapi_core.x_api.status_table import outcome_of

__all__ = ["Answered", "Exchange", "NotStarted", "SendWindow", "XTransport"]

# With `"on_unauthorized": "requeue"`, X is asked again once a minute whether it takes the keys by now.
UNAUTHORIZED_PROBE_S = 60.0
_UNAUTHORIZED = Deferred(nack_status=503, cause="unauthorized")


class XTransport(Protocol):
    """Signs and posts one request within `timeout_s`, all of it."""

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        """Return X's answer, or why there is none; never raises for the network."""
        ...


class Answered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """X's verdict on one batch, and how long the last request took, in milliseconds."""

    verdict: Verdict
    duration_ms: int


class NotStarted(msgspec.Struct, frozen=True, gc=False):
    """The gate closed, or a shutdown began, before the request could start: X knows nothing of it."""


class SendWindow(msgspec.Struct):
    """When a request may still start: not after `latest_start`, and only while `is_open` says so.

    `on_wire` tells whether a request is on its way to X at the moment, and `carried` which positions of the batch are
    in it: their answer is worth waiting for.
    """

    latest_start: float
    is_open: Callable[[], bool]
    on_wire: bool = False
    carried: frozenset[int] = frozenset()


class Exchange:
    """Sends batches of one pixel."""

    def __init__(
        self,
        *,
        settings: Settings,
        pixel_id: str,
        keyring: Keyring,
        transport: XTransport,
        pacer: Pacer,
        clock: Callable[[], float],
        epoch_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._pixel_id = pixel_id
        self._keyring = keyring
        self._transport = transport
        self._pacer = pacer
        self._clock = clock
        self._epoch_clock = epoch_clock

    async def send(self, conversions: Sequence[Conversion], window: SendWindow) -> Answered | Deferred | NotStarted:
        """Post one batch; after a 401 or 403, once more with keys read afresh.

        The caller has noted the conversions with the pacer as sent. No request starts outside the window.
        """
        request = build_request(
            api_base_url=self._settings.api_base_url,
            api_version=self._settings.api_version,
            pixel_id=self._pixel_id,
            conversions=conversions,
        )
        try:
            credentials = await self._keyring.current(self._time_left(window))
            if self._is_probe_of_keys():
                # Read first, so that one probe is one request.
                credentials = await self._keyring.renew(credentials, self._time_left(window)) or credentials
        except CredentialsUnavailable:
            self._pacer.note_done(self._clock(), request.conversions, counted=False)
            return self._without_keys(refused=self._is_probe_of_keys())
        if (obstacle := self._obstacle(window)) is not None:
            self._pacer.note_done(self._clock(), request.conversions, counted=False)
            return obstacle
        answered = await self._post(request, credentials, window)
        if not isinstance(answered.verdict, RefusedCredentials):
            return answered
        try:
            renewed = await self._keyring.renew(credentials, self._time_left(window))
        except CredentialsUnavailable:
            return self._without_keys(refused=True)
        if renewed is None:
            return self._unauthorized(answered)
        if (obstacle := self._obstacle(window)) is not None:
            return obstacle
        self._pacer.note_sent(request.conversions)
        answered = await self._post(request, renewed, window)
        return self._unauthorized(answered) if isinstance(answered.verdict, RefusedCredentials) else answered

    def _is_probe_of_keys(self) -> bool:
        return self._pacer.probing and self._pacer.closed_as == _UNAUTHORIZED

    def _without_keys(self, *, refused: bool) -> Deferred:
        """Return the outcome while Secret Manager cannot be asked; refused keys may merely be old, nobody can tell."""
        outcome = Deferred(nack_status=503, cause="credentials_unavailable")
        if refused and self._settings.on_unauthorized == "requeue":
            self._pacer.close(self._clock(), UNAUTHORIZED_PROBE_S, _UNAUTHORIZED)
        return outcome

    def _time_left(self, window: SendWindow) -> float:
        return max(0.0, window.latest_start - self._clock())

    def _obstacle(self, window: SendWindow) -> Deferred | NotStarted | None:
        if not window.is_open():
            return NotStarted()
        if self._clock() > window.latest_start:
            return Deferred(nack_status=503, cause="no_time_left")
        return None

    def _unauthorized(self, answered: Answered) -> Answered:
        outcome = outcome_of(answered.verdict, self._settings)
        if outcome == _UNAUTHORIZED:
            self._pacer.close(self._clock(), UNAUTHORIZED_PROBE_S, _UNAUTHORIZED)
        return answered

    async def _post(self, request: HttpRequest, credentials: Credentials, window: SendWindow) -> Answered:
        started = self._clock()
        window.on_wire = True
        try:
            response = await self._transport.post(request, credentials, self._settings.request_timeout_s)
        except BaseException:
            # A bug, whose events must not be held for ever.
            self._pacer.note_done(self._clock(), request.conversions, counted=True)
            raise
        finally:
            window.on_wire = False
        # X names moments, the gate keeps delays. Of the two clocks this one is read first: where the machine halts
        # between them, the gate opens late rather than early.
        epoch = self._epoch_clock()
        now = self._clock()
        duration_ms = round((now - started) * 1000)
        verdict = read_response(response, sent=request.conversions) if isinstance(response, HttpResponse) else response
        self._pacer.note_done(now, request.conversions, counted=_may_have_counted(verdict))
        if not isinstance(response, HttpResponse):
            return Answered(verdict=verdict, duration_ms=duration_ms)
        outcome = outcome_of(verdict, self._settings)
        hint = read_rate_hint(response.headers, now_epoch_s=epoch)
        self._pacer.note_hint(now, hint, deferred_as=outcome if isinstance(outcome, Deferred) else None)
        if isinstance(verdict, Accepted | Unconfirmed | RefusedConversions | RefusedRequest):
            self._pacer.note_judged()
        return Answered(verdict=verdict, duration_ms=duration_ms)


def _may_have_counted(verdict: Verdict) -> bool:
    """Tell whether X may have charged the events to its budget; if it did otherwise, its next 429 says so."""
    match verdict:
        case TransportFailure(kind):
            return kind in {"timeout", "broken"}
        case Unavailable(status):
            return status == HTTPStatus.TOO_MANY_REQUESTS
        case _:
            return True
