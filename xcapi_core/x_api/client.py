"""One batch to X and back: keys, signature, answer, and what the answer means for the pixel's pause and keys."""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Protocol

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.outcomes import Deferred, Delivered, Rejected
from xcapi_core.settings import Settings
from xcapi_core.x_api.batch_size import BatchSize
from xcapi_core.x_api.credential_cache import CredentialCache, CredentialsUnavailable
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.errors import XError
from xcapi_core.x_api.pause import LoneRefusals, Pause
from xcapi_core.x_api.protocol import (
    HttpRequest,
    HttpResponse,
    RefusedConversions,
    RefusedCredentials,
    RefusedRequest,
    TooLarge,
    TransportFailure,
    Unavailable,
    Verdict,
    build_request,
    read_response,
)
from xcapi_core.x_api.rate_hints import RateHint, read_rate_hint
from xcapi_core.x_api.rate_limiter import RateLimiter, Reservation
from xcapi_core.x_api.status_table import log_refuses_everything, log_verdict, outcome_of

__all__ = ["BatchAnswer", "SendWindow", "XClient", "XTransport"]

# X is asked again once a minute whether it takes the keys, or anything at all, by now.
PROBE_EVERY_S = 60.0
_UNAUTHORIZED = Deferred(nack_status=503, cause="unauthorized")
_REFUSES_EVERYTHING = Deferred(nack_status=503, cause="refuses_everything")


class XTransport(Protocol):
    """Signs and posts one request within `timeout_s`, all of it."""

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        """Return X's answer, or why there is none; never raises for the network."""
        ...


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What X, or the lack of keys or time, makes of a batch: one outcome for every conversion in it.

    But where X refused it for some of its conversions: `refused_for` holds the errors then, and the outcome is that of
    a conversion that was alone.
    """

    outcome: Delivered | Rejected | Deferred
    http_status: int = 0
    refused_for: tuple[XError, ...] | None = None


class SendWindow(msgspec.Struct):
    """When a request may still start: not after `latest_start`, and only while `is_open` says so.

    `on_wire` tells whether it is on its way to X at the moment: then its answer is worth waiting for.
    """

    latest_start: float
    is_open: Callable[[], bool]
    on_wire: bool = False


class XClient:
    """Sends batches of one pixel."""

    def __init__(
        self,
        *,
        settings: Settings,
        pixel_id: str,
        credentials: CredentialCache,
        transport: XTransport,
        limiter: RateLimiter,
        pause: Pause,
        size: BatchSize,
        clock: Callable[[], float],
        epoch_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._pixel_id = pixel_id
        self._credentials = credentials
        self._transport = transport
        self._limiter = limiter
        self._pause = pause
        self._size = size
        self._clock = clock
        self._epoch_clock = epoch_clock
        self._lone_refusals = LoneRefusals()

    async def send(
        self, conversions: Sequence[Conversion], reservation: Reservation, window: SendWindow
    ) -> BatchAnswer | None:
        """Post one batch; after a refusal of the keys, once more with keys read afresh. Settles the reservation.

        None means that the batch is as unknown to X as before: no request could start inside the window, or the batch
        was too large and has to be sent in parts.
        """
        request = build_request(
            api_base_url=self._settings.api_base_url,
            api_version=self._settings.api_version,
            pixel_id=self._pixel_id,
            conversions=conversions,
        )
        attempt = _Attempt(charged=0)
        try:
            verdict = await self._post_with_keys(request, window, attempt)
        finally:
            reservation.settle(self._clock(), charged=attempt.charged)
        if verdict is None:
            return None
        if isinstance(verdict, Deferred):
            return BatchAnswer(outcome=verdict)
        log_verdict(
            verdict, conversions, log_ids=self._settings.log_conversion_ids, duration_ms=round(attempt.took_s * 1000)
        )
        return self._judge(verdict, conversions, request, attempt.hint)

    async def _post_with_keys(
        self, request: HttpRequest, window: SendWindow, attempt: "_Attempt"
    ) -> Verdict | Deferred | None:
        is_probe = self._pause.probing and self._pause.reason == _UNAUTHORIZED
        try:
            keys = await self._credentials.current(self._time_left(window))
            if is_probe:
                # Read first, so that one probe is one request.
                keys = await self._credentials.renew(keys, self._time_left(window)) or keys
        except CredentialsUnavailable:
            return self._without_keys(refused=is_probe)
        if not self._may_start(window):
            return self._not_started(window)
        verdict = await self._post(request, keys, window, attempt)
        if not isinstance(verdict, RefusedCredentials):
            return verdict
        try:
            renewed = await self._credentials.renew(keys, self._time_left(window))
        except CredentialsUnavailable:
            return self._without_keys(refused=True)
        if renewed is None:
            return verdict
        if not self._may_start(window):
            return self._not_started(window)
        return await self._post(request, renewed, window, attempt)

    async def _post(self, request: HttpRequest, keys: Credentials, window: SendWindow, attempt: "_Attempt") -> Verdict:
        started = self._clock()
        # Charged at once: where a bug ends the request, X may have counted its events.
        attempt.charged += request.conversions
        window.on_wire = True
        try:
            response = await self._transport.post(request, keys, self._settings.request_timeout_s)
        finally:
            window.on_wire = False
        attempt.took_s = self._clock() - started
        if not isinstance(response, HttpResponse):
            if response.kind not in {"timeout", "broken"}:
                attempt.charged -= request.conversions
            return response
        # X names moments, the pause keeps delays. Of the two clocks this one is read first: where the machine halts
        # between them, the pause ends late rather than early.
        attempt.hint = read_rate_hint(response.headers, now_epoch_s=self._epoch_clock())
        verdict = read_response(response, sent=request.conversions)
        if isinstance(verdict, Unavailable) and verdict.status != HTTPStatus.TOO_MANY_REQUESTS:
            attempt.charged -= request.conversions
        return verdict

    def _judge(
        self, verdict: Verdict, conversions: Sequence[Conversion], request: HttpRequest, hint: RateHint
    ) -> BatchAnswer | None:
        """Draw the consequences of a verdict for the batch, the pause, the budget and the size of batches."""
        now = self._clock()
        self._limiter.note_hint(now, hint)
        is_lone = len(conversions) == 1
        if isinstance(verdict, TooLarge) and not is_lone:
            self._size.too_large(len(request.body), now)
            return None
        outcome = outcome_of(verdict, self._settings, body_bytes=len(request.body))
        if is_lone and isinstance(verdict, RefusedConversions):
            wire = conversions[0].wire
            if self._lone_refusals.count(verdict.status, verdict.errors, wire):
                log_refuses_everything(verdict, pixel_id=self._pixel_id)
                self._pause.start(now, PROBE_EVERY_S, _REFUSES_EVERYTHING, probe_size=1)
                return BatchAnswer(outcome=_REFUSES_EVERYTHING)
        if outcome == _UNAUTHORIZED:
            self._pause.start(now, PROBE_EVERY_S, _UNAUTHORIZED)
        elif isinstance(verdict, TooLarge) and isinstance(outcome, Deferred):
            self._pause.back_off(now, outcome)
        elif isinstance(outcome, Deferred):
            self._pause.note_deferred(now, hint, outcome)
        elif not isinstance(verdict, RefusedCredentials):
            self._pause.note_judged()
        if isinstance(outcome, Delivered):
            self._lone_refusals.accepted()
            self._size.accepted(len(conversions))
        elif isinstance(verdict, RefusedRequest | RefusedCredentials):
            self._size.start_over()
        if isinstance(verdict, RefusedConversions):
            return BatchAnswer(outcome=outcome, http_status=verdict.status, refused_for=verdict.errors)
        return BatchAnswer(outcome=outcome)

    def _without_keys(self, *, refused: bool) -> Deferred:
        """Return the outcome while Secret Manager cannot be asked; refused keys may merely be old."""
        if refused and self._settings.on_unauthorized == "requeue":
            self._pause.start(self._clock(), PROBE_EVERY_S, _UNAUTHORIZED)
        return Deferred(nack_status=503, cause="credentials_unavailable")

    def _time_left(self, window: SendWindow) -> float:
        return max(0.0, window.latest_start - self._clock())

    def _may_start(self, window: SendWindow) -> bool:
        return window.is_open() and self._clock() <= window.latest_start

    def _not_started(self, window: SendWindow) -> Deferred | None:
        # Where the window is closed for now, another request may start later.
        return Deferred(nack_status=503, cause="no_time_left") if window.is_open() else None


class _Attempt(msgspec.Struct):
    """What a batch's request, or its two requests, cost: events that X may have counted, and seconds of the last."""

    charged: int
    took_s: float = 0.0
    hint: RateHint = RateHint()
