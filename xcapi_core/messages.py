"""HTTP request → PubsubMessage → raw events."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["PubsubMessage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PubsubMessage:
    """One Pub/Sub delivery, as the push envelope or a CloudEvent carried it.

    `publish_time` is the RFC 3339 text as received, "" when the envelope had none; `delivery_attempt` is None
    where Pub/Sub did not say.
    """

    message_id: str
    publish_time: str
    data: bytes = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    subscription: str
    ordering_key: str
    delivery_attempt: int | None
