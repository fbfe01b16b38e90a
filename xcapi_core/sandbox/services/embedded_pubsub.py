"""A Pub/Sub on loopback for machines without Google's emulator: publishing over real gRPC, pushing over HTTP.

It keeps the limits that the emulator does not check (100 attributes, their sizes, reserved keys, 10 MB), sends
`deliveryAttempt`, and pushes many messages at a time.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType

from google.pubsub_v1.types import PublishRequest, PublishResponse, PubsubMessage, Topic

from xcapi_core.sandbox.services.grpc_server import GrpcMethod, GrpcRefusal, LocalGrpcService
from xcapi_core.sandbox.services.pubsub import DeadLetter, DeliveryPath
from xcapi_core.sandbox.services.push_delivery import Pusher, StoredMessage

__all__ = ["EmbeddedPubsub"]

# Pub/Sub: "Quotas and limits", resource limits.
_MAX_REQUEST_BYTES = 10_000_000
_MAX_MESSAGES = 1_000
_MAX_ATTRIBUTES = 100
_MAX_KEY_BYTES = 256
_MAX_VALUE_BYTES = 1_024
_RESERVED_KEY_PREFIX = "goog"


class EmbeddedPubsub(LocalGrpcService):
    """A context manager and LocalPubsub in this process; clients publish at `address` (PUBSUB_EMULATOR_HOST)."""

    title = "an embedded Pub/Sub"

    def __init__(self) -> None:
        # Hears of each message and its topic, in the publisher's thread, before anybody gets it.
        self.on_message: Callable[[str, StoredMessage], None] | None = None
        super().__init__(
            {
                "google.pubsub.v1.Publisher": {
                    "Publish": GrpcMethod(PublishRequest, PublishResponse, self._answer_publish),
                    "CreateTopic": GrpcMethod(Topic, Topic, self._answer_create_topic),
                }
            }
        )
        self._arrived = threading.Condition()
        self._message_ids = itertools.count(1)
        self._pushers: dict[str, list[Pusher]] = {}
        self._queues: dict[str, list[StoredMessage]] = {}
        self._subscriptions: dict[str, set[str]] = {}
        self._down = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving and pushing; what is unacknowledged is forgotten."""
        super().__exit__(kind, error, traceback)
        for pushers in self._pushers.values():
            for pusher in pushers:
                pusher.close()

    @property
    def unacked(self) -> int:
        """How many messages wait for a push or its answer, in all push subscriptions."""
        return sum(pusher.unacked for pushers in self._pushers.values() for pusher in pushers)

    @property
    def unacked_ids(self) -> frozenset[str]:
        """The ids of these messages."""
        return frozenset().union(*(pusher.unacked_ids for pushers in self._pushers.values() for pusher in pushers))

    def set_down(self, *, down: bool) -> None:
        """While down, every call over gRPC is answered UNAVAILABLE; pushing goes on."""
        self._down = down

    def provision(self, path: DeliveryPath) -> None:
        """Create the topics and subscriptions; pushing begins at once. Existing topics are kept."""
        with self._arrived:
            for topic in (path.topic, path.dead_letter_topic):
                self._pushers.setdefault(topic, [])
                self._subscriptions.setdefault(topic, set())
            self._subscriptions[path.dead_letter_topic].add(path.dead_letter_subscription)
            self._queues.setdefault(path.dead_letter_subscription, [])
            self._pushers[path.topic].append(
                Pusher(path, lambda message, attempts: self._forward(path, message, attempts))
            )

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> str:
        """Publish one message and return its id; a refusal is a ValueError with Pub/Sub's reason."""
        try:
            return self._publish(topic, [PubsubMessage(data=data, attributes=dict(attributes or {}))])[0].message_id
        except GrpcRefusal as refusal:
            raise ValueError(refusal.details) from refusal

    def pull(self, subscription: str, *, timeout_s: float = 1.0) -> list[DeadLetter]:
        """Return and acknowledge what waits; an empty list when nothing came within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while not self._queues[subscription] and (left_s := deadline - time.monotonic()) > 0:
                self._arrived.wait(left_s)
            waiting, self._queues[subscription] = self._queues[subscription], []
        return [DeadLetter(data=m.data, attributes=m.attributes, message_id=m.message_id) for m in waiting]

    def _answer_create_topic(self, request: Topic) -> Topic:
        self._refuse_when_down()
        with self._arrived:
            if request.name in self._pushers:
                raise GrpcRefusal("ALREADY_EXISTS", "Topic already exists")
            self._pushers[request.name] = []
            self._subscriptions[request.name] = set()
        return request

    def _answer_publish(self, request: PublishRequest) -> PublishResponse:
        self._refuse_when_down()
        if PublishRequest.pb(request).ByteSize() > _MAX_REQUEST_BYTES:
            raise GrpcRefusal("INVALID_ARGUMENT", "The request size exceeds 10000000 bytes.")
        stored = self._publish(request.topic, request.messages)
        return PublishResponse(message_ids=[message.message_id for message in stored])

    def _publish(self, topic: str, messages: Sequence[PubsubMessage]) -> list[StoredMessage]:
        if not 1 <= len(messages) <= _MAX_MESSAGES:
            raise GrpcRefusal("INVALID_ARGUMENT", f"A request has 1 to {_MAX_MESSAGES} messages.")
        for message in messages:
            _check(message)
        with self._arrived:
            if topic not in self._pushers:
                raise GrpcRefusal("NOT_FOUND", f"Resource not found (resource={topic.rpartition('/')[2]}).")
            stored = [self._store(message) for message in messages]
            for subscription in self._subscriptions[topic]:
                self._queues[subscription] += stored
            self._arrived.notify_all()
            pushers = list(self._pushers[topic])
        if self.on_message is not None:
            for message_to_tell in stored:
                self.on_message(topic, message_to_tell)
        for pusher in pushers:
            for message_to_push in stored:
                pusher.accept(message_to_push)
        return stored

    def _store(self, message: PubsubMessage) -> StoredMessage:
        return StoredMessage(
            message_id=f"{next(self._message_ids):016d}",
            publish_time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            data=message.data,
            attributes=dict(message.attributes),
            ordering_key=message.ordering_key,
        )

    def _forward(self, path: DeliveryPath, message: StoredMessage, attempts: int) -> None:
        """Dead-letter what used up its attempts, with the attributes that Pub/Sub adds."""
        _, project, _, subscription = path.subscription.split("/")
        source = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(attempts),
            "CloudPubSubDeadLetterSourceSubscription": subscription,
            "CloudPubSubDeadLetterSourceSubscriptionProject": project,
            "CloudPubSubDeadLetterSourceTopicPublishTime": message.publish_time,
        }
        self._publish(
            path.dead_letter_topic, [PubsubMessage(data=message.data, attributes={**message.attributes, **source})]
        )

    def _refuse_when_down(self) -> None:
        if self._down:
            raise GrpcRefusal("UNAVAILABLE", "The service was unable to fulfill your request.")


def _check(message: PubsubMessage) -> None:
    """Refuse what Pub/Sub refuses."""
    attributes = message.attributes
    if not message.data and not attributes:
        raise GrpcRefusal("INVALID_ARGUMENT", "Some messages have neither data nor attributes.")
    if len(attributes) > _MAX_ATTRIBUTES:
        raise GrpcRefusal("INVALID_ARGUMENT", f"A message has at most {_MAX_ATTRIBUTES} attributes.")
    for key, value in attributes.items():
        if not key or len(key.encode()) > _MAX_KEY_BYTES or key.startswith(_RESERVED_KEY_PREFIX):
            raise GrpcRefusal("INVALID_ARGUMENT", "An attribute's key is empty, too long or reserved.")
        if len(value.encode()) > _MAX_VALUE_BYTES:
            raise GrpcRefusal("INVALID_ARGUMENT", f"An attribute's value has at most {_MAX_VALUE_BYTES} bytes.")
