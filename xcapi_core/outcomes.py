"""Where an event can end. Outcomes are values, never exceptions; the README's table is this module's."""

from enum import StrEnum
from typing import ClassVar, Literal

import msgspec

from xcapi_core.problems import Problem
from xcapi_core.records import Record

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


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """X confirmed the request that carried the conversion."""


class AlreadyDelivered(msgspec.Struct, frozen=True, gc=False):
    """X has this conversion from an earlier request: nothing is left to do."""


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """The event is not meant for X: acked, counted, not kept. `codes` say why its consent could not be read."""

    reason: SkipReason
    codes: tuple[str, ...] = ()


class Invalid(Record, frozen=True, gc=False):
    """The event can never be sent as it is: dead-lettered as `invalid_event` with the problem, the first of all.

    `conversion_id` is the dedup key that its publisher gave it, "" where none could be read.
    """

    _shown: ClassVar[tuple[str, ...]] = ("problem", "others")

    problem: Problem
    others: tuple[Problem, ...] = ()
    conversion_id: str = ""


class Expired(Record, frozen=True, gc=False):
    """The event is older than `max_event_age_hours`: dead-lettered as `expired`. `conversion_id` as in `Invalid`."""

    _shown: ClassVar[tuple[str, ...]] = ("problem",)

    problem: Problem
    conversion_id: str = ""


class Rejected(Record, frozen=True, kw_only=True, gc=False):
    """X refused the conversion (or did not confirm it): dead-lettered with X's own words.

    X's messages quote the offending value, and what answers in X's place may put it anywhere: its words go into the
    dead letter and nowhere else.
    """

    _shown: ClassVar[tuple[str, ...]] = ("reason", "http_status")

    reason: DeadLetterReason
    http_status: int
    error_code: str = ""
    error_parameter: str = ""
    error_message: str = ""


class Deferred(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Not now: the message goes back to its queue with this HTTP status.

    `cause` is a stable word for logs and the nack's body ("rate_limited", "x_unavailable", "shutting_down", …).
    `suspect` marks what an unfinished bisection left: it is sent next in small batches.
    """

    nack_status: Literal[429, 503]
    cause: str
    suspect: bool = False


Outcome = Delivered | AlreadyDelivered | Skipped | Invalid | Expired | Rejected | Deferred
