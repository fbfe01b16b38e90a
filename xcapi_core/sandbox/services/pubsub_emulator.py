"""Google's own Pub/Sub emulator as a process of ours."""

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from google.api_core.exceptions import AlreadyExists
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import (
    DeadLetterPolicy,
    PubsubMessage,
    PullRequest,
    PushConfig,
    ReceivedMessage,
    RetryPolicy,
    Subscription,
    Topic,
)

from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.grpc_server import insecure_channel
from xcapi_core.sandbox.services.http_probe import answers_ok
from xcapi_core.sandbox.services.ports import LOOPBACK, free_port
from xcapi_core.sandbox.services.processes import ChildProcess
from xcapi_core.sandbox.services.pubsub import DeadLetter, DeliveryPath

__all__ = ["PubsubEmulator"]

_START_TIMEOUT_S = 180.0  # 1 to 8 s when gcloud's files are warm; a cold disk or a busy machine takes longer
_CALL_TIMEOUT_S = 60.0
_POLL_INTERVAL_S = 0.05
_MAX_PULL = 1000  # Pub/Sub's own limit


class PubsubEmulator:
    """A context manager around `gcloud beta emulators pubsub start`; a LocalPubsub.

    It differs from Pub/Sub: no `deliveryAttempt` in a push, no filter, no OIDC, two pushes at a time per
    subscription, none of the limits on attributes, and a retry policy's back-off is 1 s and then about 3 s,
    whatever was set.
    """

    title = "Google's Pub/Sub emulator"

    def __init__(self) -> None:
        self._port = 0
        self._process: ChildProcess | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @staticmethod
    def available() -> str | None:
        """Return None when the emulator can be started on this machine, else the reason in a few words."""
        gcloud = shutil.which("gcloud")
        if gcloud is None:
            return "gcloud is not installed"
        if not (Path(gcloud).resolve().parents[1] / "platform" / "pubsub-emulator").is_dir():
            return "gcloud has no component pubsub-emulator"
        if shutil.which("java") is None:
            return "Java is not installed"
        return None

    @property
    def address(self) -> str:
        """`host:port`, the value for PUBSUB_EMULATOR_HOST."""
        return f"{LOOPBACK}:{self._port}"

    def __enter__(self) -> Self:
        """Start it on a free port and wait until it answers."""
        if reason := self.available():
            raise LocalServiceError(f"The Pub/Sub emulator is not available: {reason}.")
        self._folder = tempfile.TemporaryDirectory(prefix="xcapi-pubsub-")
        self._port = free_port()
        self._process = ChildProcess(
            [
                "gcloud",
                "beta",
                "emulators",
                "pubsub",
                "start",
                f"--host-port={self.address}",
                f"--data-dir={self._folder.name}",
                "--quiet",
            ],
            # gcloud neither asks its user nor phones home, and keeps out of the user's own configuration.
            environment={
                **os.environ,
                "CLOUDSDK_CONFIG": f"{self._folder.name}/gcloud",
                "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
                "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            },
        )
        try:
            self._connect(self._process)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it, and Java with it."""
        self._close()

    def provision(self, path: DeliveryPath) -> None:
        """Create the topics and subscriptions; pushing begins at once. Existing topics are kept."""
        for topic in (path.topic, path.dead_letter_topic):
            with suppress(AlreadyExists):
                self._publisher.create_topic(Topic(name=topic), timeout=_CALL_TIMEOUT_S)
        with suppress(AlreadyExists):
            self._subscriber.create_subscription(
                Subscription(name=path.dead_letter_subscription, topic=path.dead_letter_topic, ack_deadline_seconds=60),
                timeout=_CALL_TIMEOUT_S,
            )
        self._subscriber.create_subscription(
            Subscription(
                name=path.subscription,
                topic=path.topic,
                ack_deadline_seconds=path.ack_deadline_s,
                push_config=PushConfig(push_endpoint=path.push_endpoint),
                retry_policy=RetryPolicy(
                    minimum_backoff=timedelta(seconds=path.min_backoff_s),
                    maximum_backoff=timedelta(seconds=path.max_backoff_s),
                ),
                dead_letter_policy=DeadLetterPolicy(
                    dead_letter_topic=path.dead_letter_topic, max_delivery_attempts=path.max_delivery_attempts
                ),
            ),
            timeout=_CALL_TIMEOUT_S,
        )

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str] | None = None) -> str:
        """Publish one message and return its id."""
        message = PubsubMessage(data=data, attributes=dict(attributes or {}))
        return self._publisher.publish(topic=topic, messages=[message], timeout=_CALL_TIMEOUT_S).message_ids[0]

    def pull(self, subscription: str, *, timeout_s: float = 1.0) -> list[DeadLetter]:
        """Return and acknowledge what waits; an empty list when nothing came within about `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not (received := self._pull_now(subscription)) and time.monotonic() < deadline:
            time.sleep(_POLL_INTERVAL_S)
        return [
            DeadLetter(
                data=dead_letter.message.data,
                attributes=dict(dead_letter.message.attributes),
                message_id=dead_letter.message.message_id,
            )
            for dead_letter in received
        ]

    def _pull_now(self, subscription: str) -> Sequence[ReceivedMessage]:
        # A pull that waits and is given up by its client can take a message along: it is leased to nobody then. So
        # this one never waits, which Google deprecates for its cost at scale.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            answer = self._subscriber.pull(
                PullRequest(subscription=subscription, max_messages=_MAX_PULL, return_immediately=True),
                timeout=_CALL_TIMEOUT_S,
            )
        if answer.received_messages:
            self._subscriber.acknowledge(
                subscription=subscription,
                ack_ids=[dead_letter.ack_id for dead_letter in answer.received_messages],
                timeout=_CALL_TIMEOUT_S,
            )
        return answer.received_messages

    def _connect(self, process: ChildProcess) -> None:
        if not process.wait_until(lambda: answers_ok(self._port), timeout_s=_START_TIMEOUT_S):
            last_words = next((line.strip() for line in reversed(process.lines) if line.strip()), "none")
            raise LocalServiceError(f"The Pub/Sub emulator did not start; its last words: {last_words}")
        channel = insecure_channel(self.address)
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        self._subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))

    def _close(self) -> None:
        if self._process is not None:
            self._process.stop_group()  # gcloud does not pass a signal on to Java
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
