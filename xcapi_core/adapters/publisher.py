"""Publishes dead letters and remainders to Pub/Sub, or to a file on a laptop."""

import asyncio
import base64
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from xcapi_core.deliveries.outgoing import OutgoingMessage

if TYPE_CHECKING:
    from google.pubsub_v1.services.publisher import PublisherClient

__all__ = ["FilePublisher", "PubsubConnection", "PubsubPublisher", "open_publisher"]

# The client's own default retries for 600 s, far past any delivery's end.
PUBLISH_ATTEMPT_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 5.0


def open_publisher(topic: str, connection: "PubsubConnection") -> "PubsubPublisher | FilePublisher":
    """Return the publisher for a setting that names a topic: `projects/…/topics/…` or `file:PATH`."""
    if topic.startswith("file:"):
        return FilePublisher(Path(topic.removeprefix("file:")))
    return PubsubPublisher(topic, connection)


class PubsubConnection:
    """The client of Pub/Sub, made in the background before it is needed, and the threads that wait for it."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._client: PublisherClient | None = None
        self.threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="publisher")

    def prepare(self) -> None:
        """Make the client and connect it, in a thread: after SIGTERM there is no time for either."""
        self.threads.submit(self._connect)

    def client(self) -> "PublisherClient":
        """Return the client; it blocks where that is not made yet. Raises google-auth's errors.

        Nobody imports `google.pubsub_v1` before: modules of it import each other, and what two threads import of such a
        package at a time is an ImportError for one of them.
        """
        with self._lock:
            if self._client is None:
                self._client = _new_client(self._environ)
            return self._client

    def _connect(self) -> None:
        import grpc  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        try:
            transport = self.client().transport
            from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport  # noqa: PLC0415

            if isinstance(transport, PublisherGrpcTransport):
                grpc.channel_ready_future(transport.grpc_channel).result(timeout=_CONNECT_TIMEOUT_S)
        except (GoogleAuthError, OSError, ValueError, grpc.FutureTimeoutError):
            pass  # the next publish reports it


def _new_client(environ: Mapping[str, str]) -> "PublisherClient":
    from google.pubsub_v1.services.publisher import PublisherClient  # noqa: PLC0415

    host = environ.get("PUBSUB_EMULATOR_HOST")
    if not host:
        return PublisherClient()
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport  # noqa: PLC0415

    from xcapi_core.adapters.google_grpc import local_channel  # noqa: PLC0415

    return PublisherClient(transport=PublisherGrpcTransport(channel=local_channel(host)))


class PubsubPublisher:
    """Publishes to one topic, each request as a whole or not at all.

    The package's low-level client: the high-level one's background batching hides which message is safe when.
    """

    def __init__(self, topic: str, connection: PubsubConnection) -> None:
        self._topic = topic
        self._connection = connection

    async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:
        """Publish messages that fit one request; return None when they are safe, else the cause in a word."""
        deadline = time.monotonic() + timeout_s
        return await asyncio.get_running_loop().run_in_executor(
            self._connection.threads, self._publish, messages, deadline
        )

    def _publish(self, messages: Sequence[OutgoingMessage], deadline: float) -> str | None:
        timeout_s = deadline - time.monotonic()
        if timeout_s <= 0:
            # It waited for a thread behind others that hung. Its delivery is over, and its message comes again.
            return "DEADLINE_EXCEEDED"
        # Not at the start of the process: it costs 50 ms of it, and is ready long before it is needed.
        from google.api_core import exceptions  # noqa: PLC0415
        from google.api_core.retry import Retry, if_exception_type  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        from xcapi_core.adapters.google_grpc import status_name  # noqa: PLC0415

        transient = if_exception_type(
            exceptions.ServiceUnavailable,
            exceptions.DeadlineExceeded,
            exceptions.ResourceExhausted,
            exceptions.Aborted,
            exceptions.InternalServerError,
        )
        try:
            client = self._connection.client()
            from google.pubsub_v1.types import PublishRequest, PubsubMessage  # noqa: PLC0415

            # protobuf's own messages: proto-plus takes seven times as long to make one, and there may be a thousand.
            new_message, new_request = PubsubMessage.pb(), PublishRequest.pb()
            encoded = [new_message(data=message.data, attributes=message.attributes) for message in messages]
            client.publish(
                PublishRequest.wrap(new_request(topic=self._topic, messages=encoded)),
                retry=Retry(predicate=transient, initial=0.1, maximum=1.0, timeout=timeout_s),
                timeout=min(PUBLISH_ATTEMPT_TIMEOUT_S, timeout_s),
            )
        except exceptions.RetryError:
            return "DEADLINE_EXCEEDED"
        except exceptions.GoogleAPICallError as error:
            return status_name(error)
        except (GoogleAuthError, OSError, ValueError) as error:
            return type(error).__name__
        return None


class FilePublisher:
    """Appends messages to a file: one JSON object a line, in the JSON form of a PubsubMessage (data is base64)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_writer = asyncio.Lock()

    async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:  # noqa: ARG002 - a disk has no deadline
        """Append the messages; return None when they are on the disk, else the cause in a word."""
        async with self._one_writer:
            return await asyncio.to_thread(self._append, messages)

    def _append(self, messages: Sequence[OutgoingMessage]) -> str | None:
        lines = b"".join(
            msgspec.json.encode(
                {"data": base64.b64encode(message.data).decode(), "attributes": dict(message.attributes)}
            )
            + b"\n"
            for message in messages
        )
        try:
            with self._path.open("ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
            return type(error).__name__
        return None
