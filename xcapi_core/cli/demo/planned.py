"""What the story says beforehand: its events, and where each has to end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Act", "DeadLettered", "Delivered", "ExpectedEnd", "PlannedEvent", "PlannedMessage", "Skipped"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """X has it, once, at this pixel."""

    pixel_id: str


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """It lies in the dead-letter topic, once, with this `xcapi_reason`, and these words in its error message."""

    reason: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """It is nowhere, on purpose. `why` is for people."""

    why: str


ExpectedEnd = Delivered | DeadLettered | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """One event. `payload` is the event as it is sent; `conversion_id` is "" where it has none to be known by."""

    label: str
    conversion_id: str
    payload: bytes
    expected: ExpectedEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMessage:
    """One Pub/Sub message."""

    data: bytes
    events: tuple[PlannedEvent, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One part of the story: what X does meanwhile, and what is published.

    `faults` are injected before the messages, each as `POST /sandbox/faults` takes it; `rotates_keys` replaces
    every key at X and in Secret Manager first.
    """

    title: str
    messages: tuple[PlannedMessage, ...]
    faults: tuple[Mapping[str, object], ...] = ()
    rotates_keys: bool = False

    @property
    def events(self) -> tuple[PlannedEvent, ...]:
        """Every event of every message."""
        return tuple(event for message in self.messages for event in message.events)
