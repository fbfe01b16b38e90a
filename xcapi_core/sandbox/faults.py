"""Faults on request: what X does on its bad days, as values. Choosing one is pure but for the counts."""

import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from xcapi_core.sandbox.answers import STATUS_ERRORS, Answer, ApiError, error_answer
from xcapi_core.sandbox.rate import Allowance

__all__ = ["Drop", "Fault", "FaultPlan", "Refusal", "announcement", "fault_answer"]

Drop = Literal["before", "after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Which conversions X shall refuse although nothing is wrong with them, and in which words.

    A conversion is meant when its `field` (at the top or in one of its identifiers) equals `equals` or contains
    `contains`; with no field, every one. `named` puts the value into the message, so that a client can tell whose
    fault it is; otherwise the message names nothing.
    """

    field: str = ""
    equals: object = None
    contains: str = ""
    named: bool = False
    status: int = 400
    code: str = "INVALID_PARAMETER"
    message: str = ""
    parameter: str | None = None

    def error_for(self, conversion: object) -> ApiError | None:
        """Return X's error about a conversion, or None where it is not meant."""
        if not isinstance(conversion, dict):
            return None
        if not self.field:
            return self._error("")
        for value in _values(conversion, self.field):
            if (self.contains and self.contains in str(value)) or (not self.contains and value == self.equals):
                return self._error(str(value))
        return None

    def _error(self, value: str) -> ApiError:
        if not self.named:
            return ApiError(self.code, self.message or "Invalid conversion", self.parameter or "")
        name = self.parameter or self.field
        return ApiError(self.code, self.message or f"{name} ({value}) is not valid", name)


def _values(conversion: Mapping[str, object], name: str) -> list[object]:
    holders = [conversion]
    identifiers = conversion.get("identifiers")
    if isinstance(identifiers, list):
        holders += [element for element in identifiers if isinstance(element, dict)]
    return [holder[name] for holder in holders if name in holder]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to misbehave, and how often.

    `rate` is the share of requests (of a `refuse`: of conversions, always the same ones), `times` how many before it
    wears off, `pixel_id` whose requests. `latency_s` delays the answer after the work is done, as X does it: a client
    that gave up in between may have been counted. A fault with nothing but latency lets the request through.
    `drop` closes the connection without an answer, before or after the conversions were taken.
    `reset_in_s` announces a spent budget, `retry_after_s` a pause. `processed` is a 200 with that count.
    """

    status: int | None = None
    rate: float = 1.0
    times: int | None = None
    pixel_id: str | None = None
    latency_s: float = 0.0
    drop: Drop | None = None
    retry_after_s: float | None = None
    reset_in_s: float | None = None
    code: str | None = None
    message: str | None = None
    parameter: str | None = None
    body: str | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    processed: int | None = None
    redirect: str | None = None
    slow_body_s: float = 0.0
    endless_body: bool = False
    refuse: Refusal | None = None

    @property
    def replaces_answer(self) -> bool:
        """Say whether X never looks at the conversions."""
        return (
            self.status is not None
            or self.body is not None
            or self.redirect is not None
            or self.endless_body
            or self.drop == "before"
        )

    @property
    def only_delays(self) -> bool:
        """Say whether this fault lets others happen beside it."""
        bends = self.replaces_answer or self.drop or self.processed is not None or self.slow_body_s or self.headers
        return not bends and self.retry_after_s is None and self.reset_in_s is None

    @property
    def label(self) -> str:
        """Name the fault in a word or two, for the request log."""
        if self.drop:
            return "drop" if self.drop == "before" else "drop after"
        named = {"endless body": self.endless_body, "slow body": self.slow_body_s, "redirect": self.redirect}
        for name, given in named.items():
            if given:
                return name
        if self.processed is not None:
            return f"processed {self.processed}"
        return f"status {self.status}" if self.status else "answer bent"


_BODILESS = frozenset({204, 304})  # RFC 9110 sections 15.3.5 and 15.4.5


def fault_answer(fault: Fault, allowance: Allowance | None, account_id: str | None, now: float) -> Answer:
    """Return the answer of a fault that replaces X's own."""
    headers = announcement(fault, allowance, now)
    status = fault.status or (307 if fault.redirect else 200)
    if fault.redirect:
        headers["location"] = fault.redirect
    if fault.body is not None or fault.endless_body:
        return Answer(
            status=status,
            body=(fault.body or "").encode("utf-8", "replace"),
            headers=headers,
            content_type=fault.content_type or "text/html; charset=utf-8",
        )
    if fault.redirect or status in _BODILESS:
        return Answer(status=status, body=b"", headers=headers)
    usual = STATUS_ERRORS.get(status, ApiError("UNKNOWN", "Injected by the sandbox"))
    error = ApiError(
        fault.code or usual.code,
        fault.message or usual.message,
        fault.parameter if fault.parameter is not None else usual.parameter,
    )
    return error_answer(status, [error], account_id=account_id, headers=headers)


def announcement(fault: Fault, allowance: Allowance | None, now: float) -> dict[str, str]:
    """Return the headers by which a fault tells the client to wait."""
    headers = allowance.as_headers() if allowance else {}
    if fault.reset_in_s is not None:
        limit = allowance.limit if allowance else 0
        headers |= Allowance(limit, 0, math.ceil(now + fault.reset_in_s)).as_headers()
    if fault.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(fault.retry_after_s))
    return headers | {name.lower(): value for name, value in fault.headers.items()}


@dataclass(slots=True)
class _Active:
    fault: Fault
    described: Mapping[str, object]
    fired: int = 0

    @property
    def worn_off(self) -> bool:
        return self.fault.times is not None and self.fired >= self.fault.times


class FaultPlan:
    """The faults in force. `draw` gives a number in [0, 1) per question; the first fault that fires wins."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._active: list[_Active] = []

    def add(self, faults: Iterable[tuple[Fault, Mapping[str, object]]]) -> None:
        """Put faults in force, each with the JSON that described it."""
        self._active.extend(_Active(fault, described) for fault, described in faults)

    def clear(self) -> None:
        """Lift every fault."""
        self._active.clear()

    def as_json(self) -> list[dict[str, object]]:
        """Return each fault as it was given, with how often it has fired and whether it still does."""
        return [{**a.described, "fired": a.fired, "active": not a.worn_off} for a in self._active]

    def choose(self, pixel_id: str) -> tuple[Fault | None, float]:
        """Return the fault that a request meets, if any, and the seconds that it waits for its answer."""
        latency_s, chosen = 0.0, None
        for active in self._meant(pixel_id):
            fault = active.fault
            if fault.refuse is not None or (chosen is not None and not fault.only_delays):
                continue
            if fault.rate < 1 and self._draw() >= fault.rate:
                continue
            active.fired += 1
            latency_s += fault.latency_s
            if not fault.only_delays:
                chosen = fault
        return chosen, latency_s

    def refusals(self, pixel_id: str, conversions: list[object]) -> dict[int, tuple[ApiError, int]]:
        """Return, by index, the conversions that X shall refuse: the error and the status that goes with it."""
        refused: dict[int, tuple[ApiError, int]] = {}
        for active in self._meant(pixel_id):
            refusal = active.fault.refuse
            if refusal is None:
                continue
            hits = 0
            for index, conversion in enumerate(conversions):
                error = refusal.error_for(conversion)
                if error is not None and _is_drawn(conversion, active.fault.rate):
                    refused[index] = (error, refusal.status)
                    hits += 1
            active.fired += bool(hits)
        return refused

    def _meant(self, pixel_id: str) -> list[_Active]:
        return [a for a in self._active if not a.worn_off and a.fault.pixel_id in (None, pixel_id)]


def _is_drawn(conversion: object, rate: float) -> bool:
    """Draw by the conversion's id, not by chance: what X refuses once it refuses again."""
    if rate >= 1:
        return True
    key = conversion.get("conversion_id") if isinstance(conversion, dict) else None
    return zlib.crc32(str(key).encode("utf-8", "replace")) / 2**32 < rate
