"""What was seen of a soak, from every side: the publisher's, X's, the dead-letter topic's, the function's log.

All times are epoch seconds of this machine's one clock. An event is known by (number of its message, index in it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

__all__ = [
    "Acceptance",
    "Drive",
    "End",
    "EventKey",
    "Evidence",
    "Instance",
    "LoggedRequest",
    "Pause",
    "SeenDeadLetter",
    "SeenRequest",
]

EventKey = tuple[int, int]


class End(StrEnum):
    """Where an event has to end; the dead-lettered ones by their `xcapi_reason`."""

    DELIVERED = "delivered"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    INVALID_EVENT = "invalid_event"
    INVALID_MESSAGE = "invalid_message"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as X saw it. `conversions` are those that X counted, 0 where it never looked at them.

    `status` 0 is a dropped connection; `answered_at` is when the answer left, or the connection was dropped.
    """

    request_id: int
    pixel_id: str
    received_at: float
    answered_at: float
    status: int
    conversions: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as the function's log has it; `status` 0 is one that it gave up, or whose connection broke."""

    pixel_id: str
    started_at: float
    ended_at: float
    conversions: int
    status: int


@dataclass(frozen=True, slots=True)
class Acceptance:
    """X took this event, in this request."""

    event: EventKey
    request_id: int


@dataclass(frozen=True, slots=True)
class Pause:
    """At `told_at` the answer to a request told a pixel's clients not to come back before `until`."""

    pixel_id: str
    told_at: float
    until: float
    request_id: int = 0


@dataclass(frozen=True, slots=True)
class Instance:
    """One life of the function; `ended_by` is what ended it: "SIGTERM", "kill -9" or "the end" of the soak."""

    started_at: float
    ended_at: float
    ended_by: Literal["SIGTERM", "kill -9", "the end"]


@dataclass(frozen=True, slots=True)
class SeenDeadLetter:
    """One message of the dead-letter topic. `reason` is "exhausted" where Pub/Sub gave the message up."""

    event: EventKey
    reason: str
    failed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What the deliveries came to. `answers` counts them by status and reason ("204", "429 rate_limited", …)."""

    published: Mapping[int, float]
    acked: Mapping[int, float]
    answers: Mapping[str, int]
    exhausted: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it. `ends` says where each event of a message has to end.

    `skipped` counts, by message, the events that the log says were left out for want of consent; `alarms` counts the
    log's entries that nothing but a bug explains, and `leaks` its lines with something of a person in them.
    `duplicated` are the messages that Pub/Sub delivers once too often; no delivery is open longer than
    `settle_timeout_s`.
    """

    ends: Mapping[int, Sequence[End]]
    drive: Drive
    requests: Sequence[SeenRequest]
    acceptances: Sequence[Acceptance]
    pauses: Sequence[Pause]
    instances: Sequence[Instance]
    dead_letters: Sequence[SeenDeadLetter]
    skipped: Mapping[int, int]
    logged: Sequence[LoggedRequest]
    rate_events: int
    rate_window_s: float
    request_timeout_s: float
    settle_timeout_s: float
    duplicated: frozenset[int] = frozenset()
    alarms: Mapping[str, int] = field(default_factory=dict)
    leaks: int = 0
