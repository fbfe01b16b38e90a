"""Publishes dead letters to Pub/Sub, or to a file on a laptop."""

import asyncio
import base64
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from xcapi_core.deliveries.dead_letters import DeadLetter

if TYPE_CHECKING:
    from google.pubsub_v1.services.publisher import PublisherClient

__all__ = ["FileDeadLetters", "PubsubDeadLetters", "open_dead_letters"]

# The client's own default retries for 600 s, far past any delivery's end.
ATTEMPT_TIMEOUT_S = 5.0


def open_dead_letters(topic: str, environ: Mapping[str, str] = os.environ) -> "PubsubDeadLetters | FileDeadLetters":
    """Return the publisher for a `dead_letter_topic` setting: `projects/…/topics/…` or `file:PATH`."""
    if topic.startswith("file:"):
        return FileDeadLetters(Path(topic.removeprefix("file:")))
    return PubsubDeadLetters(topic, environ)


class PubsubDeadLetters:
    """Publishes one request at a time and thread, so that a request is published as a whole or not at all.

    The package's low-level client: the high-level one's background batching hides which letter is safe when.
    """

    def __init__(self, topic: str, environ: Mapping[str, str] = os.environ) -> None:
        self._topic = topic
        self._environ = environ
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="dead-letters")

    async def publish(self, letters: Sequence[DeadLetter], timeout_s: float) -> str | None:
        """Publish letters that fit one request; return None when they are safe, else the cause in a word."""
        deadline = time.monotonic() + timeout_s
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._publish, letters, deadline)

    def _publish(self, letters: Sequence[DeadLetter], deadline: float) -> str | None:
        timeout_s = deadline - time.monotonic()
        if timeout_s <= 0:
            # It waited for a thread behind others that hung. Nobody waits for it now, and its message comes again.
            return "DEADLINE_EXCEEDED"
        # Imported on the first dead letter: most deployments see none for days, and it costs 50 ms of a cold start.
        from google.api_core import exceptions  # noqa: PLC0415
        from google.api_core.retry import Retry, if_exception_type  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.pubsub_v1.types import PublishRequest, PubsubMessage  # noqa: PLC0415

        from xcapi_core.adapters.google_grpc import status_name  # noqa: PLC0415

        transient = if_exception_type(
            exceptions.ServiceUnavailable,
            exceptions.DeadlineExceeded,
            exceptions.ResourceExhausted,
            exceptions.Aborted,
            exceptions.InternalServerError,
        )
        # protobuf's own messages: proto-plus takes seven times as long to make one, and there may be a thousand.
        new_message, new_request = PubsubMessage.pb(), PublishRequest.pb()
        messages = [new_message(data=letter.data, attributes=letter.attributes) for letter in letters]
        try:
            self._client.publish(
                PublishRequest.wrap(new_request(topic=self._topic, messages=messages)),
                retry=Retry(predicate=transient, initial=0.1, maximum=1.0, timeout=timeout_s),
                timeout=min(ATTEMPT_TIMEOUT_S, timeout_s),
            )
        except exceptions.RetryError:
            return "DEADLINE_EXCEEDED"
        except exceptions.GoogleAPICallError as error:
            return status_name(error)
        except (GoogleAuthError, OSError, ValueError) as error:
            return type(error).__name__
        return None

    @cached_property
    def _client(self) -> "PublisherClient":
        from google.pubsub_v1.services.publisher import PublisherClient  # noqa: PLC0415

        host = self._environ.get("PUBSUB_EMULATOR_HOST")
        if not host:
            return PublisherClient()
        from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport  # noqa: PLC0415

        from xcapi_core.adapters.google_grpc import local_channel  # noqa: PLC0415

        return PublisherClient(transport=PublisherGrpcTransport(channel=local_channel(host)))


class FileDeadLetters:
    """Appends letters to a file: one JSON object a line, in the JSON form of a PubsubMessage (data is base64)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_writer = asyncio.Lock()

    async def publish(self, letters: Sequence[DeadLetter], timeout_s: float) -> str | None:  # noqa: ARG002 - a disk has no deadline
        """Append the letters; return None when they are on the disk, else the cause in a word."""
        async with self._one_writer:
            return await asyncio.to_thread(self._append, letters)

    def _append(self, letters: Sequence[DeadLetter]) -> str | None:
        lines = b"".join(
            msgspec.json.encode({"data": base64.b64encode(letter.data).decode(), "attributes": dict(letter.attributes)})
            + b"\n"
            for letter in letters
        )
        try:
            with self._path.open("ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
            return type(error).__name__
        return None
