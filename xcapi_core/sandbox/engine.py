"""One request in, X's answer out: the order in which X looks at things. No I/O; the clock is an argument."""

import json
import random
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, NoReturn

from xcapi_core.sandbox.answers import (
    CONVERSION_LIMIT,
    EMPTY_REQUEST,
    NO_ADS_API_ACCESS,
    NOT_JSON,
    ROUTE_NOT_FOUND,
    TOO_LARGE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    WRONG_CONTENT_TYPE,
    Answer,
    ApiError,
    error_answer,
    no_account_access,
    success_answer,
)
from xcapi_core.sandbox.config import SandboxConfig, SandboxPixel
from xcapi_core.sandbox.faults import FaultPlan
from xcapi_core.sandbox.patience import Patience
from xcapi_core.sandbox.rate import Allowance, RateBudget
from xcapi_core.sandbox.recorder import ConversionRecord, Recorder
from xcapi_core.sandbox.rules import Finding, judge, short_tag
from xcapi_core.sandbox.signatures import Authentication, NonceStore, authenticate

__all__ = ["Engine", "Processed", "ReceivedRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """A request to the conversions endpoint, read. `headers` have lower-case names; `url` is as it was signed.

    `body` is None where it was larger than the sandbox reads.
    """

    request_id: int
    url: str
    api_version: str
    pixel_id: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """X's answer to a request, and what the request log and the console want to know about it.

    `findings` has what X has to say about each conversion, where X looked at them.
    """

    answer: Answer
    auth: str
    conversions: int = 0
    accepted: int = 0
    hint: str = ""
    findings: tuple[Finding, ...] = field(default=(), repr=False)


class _Batch(NamedTuple):
    body: bytes
    conversions: list[object]
    findings: list[Finding]

    @property
    def share_bytes(self) -> int:
        """What one conversion holds of the body, for the memory's bounds."""
        return len(self.body) // len(self.conversions) + 1


class Engine:
    """X's Conversions API without its HTTP, with everything that it keeps between requests."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.keys = config.keys
        self.budget = RateBudget(events=config.events_per_window, window_s=config.window_s)
        self.recorder = Recorder(keep_conversions=config.keep_conversions, keep_bytes=config.keep_bytes)
        # Chance makes faults, not secrets; a seed makes it repeatable.
        self.random = random.Random(config.random_seed)  # noqa: S311
        self.faults = FaultPlan(self.random.random)
        self.patience = Patience()
        self.nonces = NonceStore()

    def reset(self) -> None:
        """Forget what was seen and spent; keys, faults and nonces stay."""
        self.recorder.clear()
        self.budget.clear()
        self.patience = Patience()

    def allowance(self, pixel_id: str, now: float) -> Allowance | None:
        """Return what a pixel's account has left, or None for an unknown pixel."""
        pixel = self.config.pixel(pixel_id)
        return self.budget.allowance(pixel.account_id, now) if pixel else None

    def authenticate(
        self, url: str, method: str, headers: Mapping[str, str], pixel_id: str, now: float
    ) -> Authentication:
        """Find out who signed a request; see `signatures.authenticate`."""
        return authenticate(
            url=url,
            method=method,
            headers=headers,
            pixel_id=pixel_id,
            keys=self.keys,
            nonces=self.nonces,
            now=now,
            tolerance_s=self.config.timestamp_tolerance_s,
        )

    def process(self, request: ReceivedRequest) -> Processed:
        """Answer a request as X does, and remember its conversions.

        The order is X's as far as it is known: route, keys, app, account, form, budget, conversions.
        """
        if request.api_version != self.config.api_version:
            return Processed(answer=error_answer(404, [ROUTE_NOT_FOUND]), auth="none", hint="unknown API version")
        sender = self.authenticate(request.url, "POST", request.headers, request.pixel_id, request.received_at)
        pixel = self.config.pixel(request.pixel_id)
        headers: dict[str, str] = {}
        if pixel is not None:
            headers = self.budget.allowance(pixel.account_id, request.received_at).as_headers()
        refused = self._refuse_sender(sender, pixel, request.pixel_id, headers)
        if refused is not None:
            return Processed(answer=refused, auth=sender.kind, hint=sender.refused_because)
        assert pixel is not None  # noqa: S101  an unknown pixel was refused above
        return self._process_conversions(request, pixel, sender, headers)

    def _refuse_sender(
        self, sender: Authentication, pixel: SandboxPixel | None, pixel_id: str, headers: dict[str, str]
    ) -> Answer | None:
        if sender.refused_because:
            return error_answer(401, [UNAUTHORIZED], headers=headers)
        if sender.keys is not None and not sender.keys.ads_api_access:
            return error_answer(403, [NO_ADS_API_ACCESS], headers=headers)
        user_id = sender.keys.user_id if sender.keys else "unknown"
        if pixel is None:
            return error_answer(404, [no_account_access(user_id, pixel_id)], headers=headers)
        if sender.keys is not None and sender.keys.pixel_ids is not None and pixel_id not in sender.keys.pixel_ids:
            return error_answer(404, [no_account_access(user_id, pixel.account_id)], headers=headers)
        return None

    def _process_conversions(
        self, request: ReceivedRequest, pixel: SandboxPixel, sender: Authentication, headers: dict[str, str]
    ) -> Processed:
        def refused(status: int, *errors: ApiError, count: int = 0, hint: str = "") -> Processed:
            answer = error_answer(status, errors, account_id=pixel.account_id, headers=headers)
            return Processed(answer=answer, auth=sender.kind, conversions=count, hint=hint)

        if request.body is None:
            return refused(413, TOO_LARGE)
        if not _JSON_TYPE.match(request.headers.get("content-type", "")):
            return refused(415, WRONG_CONTENT_TYPE)
        try:
            document = _read_json(request.body)
        except (ValueError, RecursionError):
            return refused(400, NOT_JSON)
        conversions = document.get("conversions") if isinstance(document, dict) else None
        if not isinstance(conversions, list) or not conversions:
            return refused(400, EMPTY_REQUEST)
        count = len(conversions)
        if count > self.config.max_conversions:
            return refused(400, CONVERSION_LIMIT, count=count)
        now = request.received_at
        if not self.budget.spend(pixel.account_id, count, now):
            allowance = self.budget.allowance(pixel.account_id, now)
            headers |= Allowance(allowance.limit, 0, allowance.reset_at).as_headers()
            return refused(429, TOO_MANY_REQUESTS, count=count, hint="the rate budget is spent")
        headers |= self.budget.allowance(pixel.account_id, now).as_headers()
        findings = [
            judge(one, pixel, any_tag=self.config.accepts_any_tag(pixel), named=self.config.name_offending_values)
            for one in conversions
        ]
        injected = self.faults.refusals(pixel.pixel_id, conversions)
        errors = [error for finding in findings for error in finding.errors]
        if errors:  # X: an unknown event tag is a 404
            status = 404 if any(error.code == "NOT_FOUND" for error in errors) else 400
        else:  # a well-formed batch that only a fault refuses is answered with the fault's status
            status = next(iter(injected.values()))[1] if injected else 400
        for index, (error, _) in sorted(injected.items()):
            findings[index] = Finding((*findings[index].errors, error), findings[index].warnings)
            errors.append(error)
        batch = _Batch(request.body, conversions, findings)
        if errors:
            # All or nothing: the good ones of the batch are not taken either.
            hint = self._remember_refused(request, batch)
            return replace(refused(status, *errors, count=count, hint=hint), findings=tuple(findings))
        self._remember_accepted(request, batch)
        answer = success_answer(pixel.account_id, count, str(uuid.uuid4()), headers)
        return Processed(answer=answer, auth=sender.kind, conversions=count, accepted=count, findings=tuple(findings))

    def _remember_refused(self, request: ReceivedRequest, batch: _Batch) -> str:
        bad = [(index, finding) for index, finding in enumerate(batch.findings) if finding.errors]
        self.recorder.add_conversions(
            ConversionRecord(
                request_id=request.request_id,
                received_at=request.received_at,
                pixel_id=request.pixel_id,
                verdict="refused",
                body=batch.body,
                index=index,
                share_bytes=batch.share_bytes,
                errors=finding.errors,
                warnings=finding.warnings,
            )
            for index, finding in bad
        )
        good = len(batch.conversions) - len(bad)
        return f"{len(bad)} bad" + (f", and {good} good refused with them" if good else "")

    def _remember_accepted(self, request: ReceivedRequest, batch: _Batch) -> None:
        records = []
        for index, (raw, finding) in enumerate(zip(batch.conversions, batch.findings, strict=True)):
            assert isinstance(raw, dict)  # noqa: S101  anything else was refused
            conversion_id = raw.get("conversion_id") or ""
            event_tag = short_tag(raw["event_id"], request.pixel_id)
            self.recorder.track(request.pixel_id, event_tag, request.received_at)
            duplicate = conversion_id != "" and self.recorder.is_repetition(
                request.pixel_id, event_tag, conversion_id, request.received_at
            )
            note = ("the same event and conversion_id came within 48 h: X counts it once",) if duplicate else ()
            records.append(
                ConversionRecord(
                    request_id=request.request_id,
                    received_at=request.received_at,
                    pixel_id=request.pixel_id,
                    verdict="accepted",
                    body=batch.body,
                    index=index,
                    share_bytes=batch.share_bytes,
                    duplicate=duplicate,
                    warnings=(*note, *finding.warnings),
                )
            )
        self.recorder.add_conversions(records)


_JSON_TYPE = re.compile(r"\s*application/json\s*(;|$)", re.IGNORECASE)


def _read_json(body: bytes) -> object:
    """Read a body as strict JSON: UTF-8, no NaN, no infinity. Raises ValueError or RecursionError."""
    return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
