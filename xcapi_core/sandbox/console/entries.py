"""One event as the console shows it: what it was, what X said each time, and where it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from xcapi_core.sandbox.answers import Answer
from xcapi_core.sandbox.console.masking import is_personal_id
from xcapi_core.sandbox.recorder import RequestRecord, iso
from xcapi_core.sandbox.rules import Finding

__all__ = ["MATCH_KEYS", "Attempt", "Entry", "Exchange", "Verdict", "match_keys"]

# `waiting` is on its way; `refused` is X's last word so far, `dead_lettered` the function's.
Verdict = Literal["waiting", "delivered", "refused", "dead_lettered", "skipped", "deferred"]

MATCH_KEYS: Final = ("twclid", "hashed_email", "hashed_phone_number", "ip_address", "user_agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request to the conversions endpoint with X's answer. `findings` is empty where nobody looked at conversions.

    `answer` was never heard where the request's `status` is 0.
    """

    request: RequestRecord
    body: bytes = field(repr=False)
    answer: Answer
    findings: Sequence[Finding] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that an event was part of a request: conversion `index` of `of`."""

    exchange: Exchange
    index: int
    of: int
    finding: Finding | None = field(default=None, repr=False)


@dataclass(slots=True, kw_only=True)
class Entry:
    """One event. `message` is what was published, None where only the request is known.

    `reason` is one of few words, fit to be counted; `detail` a sentence about this event; `unread` the fields that
    nothing reads, with the name that was meant. `revision` grows with every change of any entry.
    """

    entry_id: int
    received_at: float
    pixel_id: str
    name: str
    conversion_id: str
    verdict: Verdict
    dialect: str = "x"
    reason: str = ""
    detail: str = ""
    message: bytes | None = field(default=None, repr=False)
    conversion: Mapping[str, object] | None = field(default=None, repr=False)
    dropped: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    attempts: list[Attempt] = field(default_factory=list, repr=False)
    revision: int = 0

    def as_row(self) -> dict[str, object]:
        """Return what the list shows: nothing personal, as far as names and ids can be told."""
        return {
            "id": self.entry_id,
            "time": iso(self.received_at),
            "dialect": self.dialect,
            "name": _shown(self.name),
            "pixel_id": _shown(self.pixel_id),
            "conversion_id": _shown(self.conversion_id),
            "verdict": self.verdict,
            "reason": _shown(self.reason),
            "attempts": len(self.attempts),
        }


def match_keys(conversion: Mapping[str, object] | None) -> frozenset[str]:
    """Return the kinds of identifiers that a conversion has."""
    identifiers = conversion.get("identifiers") if conversion else None
    if not isinstance(identifiers, list):
        return frozenset()
    return frozenset(
        key for element in identifiers if isinstance(element, dict) for key in MATCH_KEYS if element.get(key)
    )


def _shown(text: str) -> str:
    if is_personal_id(text):
        return f"{text[:4]}…"
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004  a name, not a novel
