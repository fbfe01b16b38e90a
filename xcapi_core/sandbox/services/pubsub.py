"""What the demo and the tests need of Pub/Sub, from Google's emulator or from the embedded one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol, Self

__all__ = ["DeadLetter", "DeliveryPath", "LocalPubsub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPath:
    """A topic with a push subscription, and the dead-letter topic with its pull subscription.

    All names are full (`projects/P/topics/T`, `projects/P/subscriptions/S`). Times are whole seconds, as Pub/Sub's
    own settings are; its ranges: ack deadline 10 to 600, back-off 0 to 600, attempts 5 to 100.
    """

    topic: str
    subscription: str
    push_endpoint: str
    dead_letter_topic: str
    dead_letter_subscription: str
    ack_deadline_s: int = 75
    min_backoff_s: int = 10
    max_backoff_s: int = 600
    max_delivery_attempts: int = 100

    @classmethod
    def named(
        cls,
        project: str,
        name: str,
        push_endpoint: str,
        *,
        ack_deadline_s: int = 75,
        min_backoff_s: int = 10,
        max_backoff_s: int = 600,
        max_delivery_attempts: int = 100,
    ) -> "DeliveryPath":
        """Derive the four names from one, as the Terraform module does: `NAME` and `NAME-dead-letter`."""
        return cls(
            topic=f"projects/{project}/topics/{name}",
            subscription=f"projects/{project}/subscriptions/{name}",
            push_endpoint=push_endpoint,
            dead_letter_topic=f"projects/{project}/topics/{name}-dead-letter",
            dead_letter_subscription=f"projects/{project}/subscriptions/{name}-dead-letter",
            ack_deadline_s=ack_deadline_s,
            min_backoff_s=min_backoff_s,
            max_backoff_s=max_backoff_s,
            max_delivery_attempts=max_delivery_attempts,
        )

    def remainder(self) -> "DeliveryPath":
        """Return the path of the remainders of this one's messages: a topic of its own, all else alike."""
        return replace(self, topic=f"{self.topic}-remainder", subscription=f"{self.subscription}-remainder")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One message of the dead-letter topic."""

    data: bytes = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    message_id: str


class LocalPubsub(Protocol):
    """A running Pub/Sub on loopback; a context manager."""

    @property
    def title(self) -> str:
        """What it is, for people: "Google's Pub/Sub emulator"."""

    @property
    def address(self) -> str:
        """`host:port`, the value for PUBSUB_EMULATOR_HOST."""

    def provision(self, path: DeliveryPath) -> None:
        """Create the topics and subscriptions; pushing begins at once. Existing topics are kept."""

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> str:
        """Publish one message and return its id."""

    def pull(self, subscription: str, *, timeout_s: float = 1.0) -> list[DeadLetter]:
        """Return and acknowledge what waits; an empty list when nothing came within about `timeout_s`."""

    def __enter__(self) -> Self:
        """Start it, or raise LocalServiceError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
