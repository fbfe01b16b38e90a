"""The same messages through Google's Pub/Sub emulator, which pushes two at a time and says nothing of what it does."""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.soak.evidence import Drive
from tests.soak.plan import Plan
from xcapi_core.sandbox.services.pubsub import LocalPubsub

__all__ = ["EmulatorDriver"]

_OUTSTANDING: Final = 30
_POLL_S: Final = 0.2
# A redelivery comes after about three seconds at most: then everything that is not acked has come again.
_QUIET_S: Final = 4.0


class EmulatorDriver:
    """Publishes, and learns from the function's log which deliveries it acked: `new_lines` are those since the last."""

    def __init__(self, plan: Plan, *, pubsub: LocalPubsub, topic: str, new_lines: Callable[[], list[str]]) -> None:
        self._plan = plan
        self._pubsub = pubsub
        self._topic = topic
        self._new_lines = new_lines
        self._stopping = False
        self.number_of: dict[str, int] = {}
        self.published: dict[int, float] = {}
        self.acked: dict[int, float] = {}
        self.answers: Counter[str] = Counter()
        self.published_events = 0
        self.acked_events = 0
        # Publishers hold on here until it is raised: an incident is to happen before all is over.
        self.hold_at = math.inf

    @property
    def drive(self) -> Drive:
        """What the deliveries came to so far."""
        return Drive(published=self.published, acked=self.acked, answers=self.answers)

    @property
    def oldest_wait_s(self) -> float:
        """The age of the oldest message that is not acked."""
        oldest = min((at for number, at in self.published.items() if number not in self.acked), default=None)
        return 0.0 if oldest is None else time.time() - oldest

    def stop(self) -> None:
        """Publish no more, and wait for nothing."""
        self._stopping = True

    async def run(self) -> None:
        """Publish everything, and return when all of it was acked and nothing comes any more."""
        unpublished = iter(range(len(self._plan.sizes)))
        settled_at = time.time()
        while not self._stopping:
            while len(self.published) - len(self.acked) < _OUTSTANDING and self.published_events < self.hold_at:
                number = next(unpublished, -1)
                if number < 0:
                    break
                await asyncio.to_thread(self._publish, number)
            if self._read():
                settled_at = time.time()
            everything = len(self.acked) == len(self._plan.sizes)
            if everything and time.time() - settled_at > _QUIET_S:
                return
            await asyncio.sleep(_POLL_S)

    def _publish(self, number: int) -> None:
        message = self._plan.message(number)
        self.published[number] = time.time()
        self.published_events += self._plan.sizes[number]
        message_id = self._pubsub.publish(self._topic, message.data, {"soak_message": str(number)})
        self.number_of[message_id] = number

    def _read(self) -> bool:
        """Take in what the log says since the last time; tell whether any delivery ended."""
        ended = False
        for line in self._new_lines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("event") not in {"delivery.settled", "delivery.deferred"}:
                continue
            ended = True
            status, cause = entry.get("http_status"), entry.get("cause", "")
            self.answers[f"{status} {cause}".strip()] += 1
            number = self.number_of.get(str(entry.get("message_id")), -1)
            if status == 204 and number >= 0 and number not in self.acked:
                self.acked[number] = time.time()
                self.acked_events += self._plan.sizes[number]
        return ended
