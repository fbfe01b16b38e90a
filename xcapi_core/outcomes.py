"""Where an event can end. Outcomes are values, never exceptions; the README's table is this module's."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from xcapi_core.problems import Problem

__all__ = [
    "AlreadyDelivered",
    "DeadLetterReason",
    "Deferred",
    "Delivered",
    "Expired",
    "Invalid",
    "Outcome",
    "Rejected",
    "SkipReason",
    "Skipped",
]


class DeadLetterReason(StrEnum):
    """The values of a dead letter's `xcapi_reason` attribute."""

    INVALID_MESSAGE = "invalid_message"
    INVALID_EVENT = "invalid_event"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"
    UNCONFIRMED = "unconfirmed"
    EXPIRED = "expired"


class SkipReason(StrEnum):
    """Why an event is acked without being sent, on purpose."""

    NO_CONSENT = "no_consent"
    UNWANTED = "unwanted"
    NO_IDENTIFIER = "no_identifier"
    DRY_RUN = "dry_run"


@dataclass(frozen=True, slots=True)
class Delivered:
    """X confirmed the request that carried the conversion."""


@dataclass(frozen=True, slots=True)
class AlreadyDelivered:
    """X has this conversion from an earlier request, or its dead letter is out: nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """The event is not meant for X: acked, counted, not kept."""

    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Invalid:
    """The event can never be sent as it is: dead-lettered as `invalid_event` with the problem."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Expired:
    """The event is older than `max_event_age_hours`: dead-lettered as `expired`."""

    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """X refused the conversion (or did not confirm it): dead-lettered with X's own words.

    X's messages quote the offending value, and what answers in X's place may put it anywhere: its words go into the
    dead letter and nowhere else.
    """

    reason: DeadLetterReason
    http_status: int
    error_code: str = field(default="", repr=False)
    error_parameter: str = field(default="", repr=False)
    error_message: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Not now: the message goes back to its queue with this HTTP status.

    `cause` is a stable word for logs and the nack's body ("rate_limited", "x_unavailable", "shutting_down", …).
    """

    nack_status: Literal[429, 503]
    cause: str


Outcome = Delivered | AlreadyDelivered | Skipped | Invalid | Expired | Rejected | Deferred
