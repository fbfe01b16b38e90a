"""Pub/Sub in virtual time: messages, pushes that wait for their answers, back-off, attempts; and a remainder topic."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from tests.fakes import delivery
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.deliveries.outgoing import OutgoingMessage
from xcapi_core.pubsub import PubsubMessage

__all__ = ["VirtualPubsub"]

_Handle = Callable[[PubsubMessage], Awaitable[Answer]]


class VirtualPubsub:
    """Pushes what is published until it is acked. As a `Publisher` it is the remainder topic, pushed likewise."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        min_backoff_s: float = 10.0,
        max_backoff_s: float = 600.0,
        max_attempts: int = 100,
        at_once: int = 80,
    ) -> None:
        """Keep to these limits, by default the Terraform module's; `at_once` is how many pushes are open at most."""
        self._clock = clock
        self._backoff = min_backoff_s, max_backoff_s
        self._max_attempts = max_attempts
        self._slots = asyncio.Semaphore(at_once)
        self._ids = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._handle: _Handle | None = None
        self.remainders: list[OutgoingMessage] = []
        self.nacks = 0
        self.exhausted = 0

    def now(self) -> datetime:
        """Return the time of day."""
        return datetime.fromtimestamp(1_776_690_000 + self._clock(), UTC)

    async def deliver(self, handle: _Handle, messages: Sequence[bytes], *, every_s: float = 0.0) -> None:
        """Publish these messages and push them, and their remainders, until all are acked or exhausted."""
        self._handle = handle
        for number, data in enumerate(messages):
            self._begin(data, {}, after_s=number * every_s)
        while self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:  # noqa: ARG002
        """Take remainders."""
        self.remainders += messages
        for message in messages:
            self._begin(message.data, message.attributes)
        return None

    def _begin(self, data: bytes, attributes: Mapping[str, str], *, after_s: float = 0.0) -> None:
        task = asyncio.create_task(self._push(data, attributes, f"{next(self._ids)}", after_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _push(self, data: bytes, attributes: Mapping[str, str], message_id: str, after_s: float) -> None:
        assert self._handle is not None
        await asyncio.sleep(after_s)
        publish_time = self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        shortest, longest = self._backoff
        for attempt in range(1, self._max_attempts + 1):
            async with self._slots:
                message = delivery(
                    data,
                    dict(attributes),
                    message_id=message_id,
                    publish_time=publish_time,
                    subscription="projects/p/subscriptions/s",
                    delivery_attempt=attempt,
                )
                if (await self._handle(message)).is_ack:
                    return
            self.nacks += 1
            await asyncio.sleep(min(longest, shortest * 2.0 ** min(attempt - 1, 10)))
        self.exhausted += 1
