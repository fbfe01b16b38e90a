"""Publishing packs, several requests at a time, and knowing exactly up to where all is confirmed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from google.pubsub_v1.services.publisher import PublisherClient

from xcapi_core.cli.google.errors import GOOGLE_ERRORS, sentence
from xcapi_core.cli.google.publishing import publish, requests_of
from xcapi_core.cli.pace import Pace
from xcapi_core.cli.publish.units import Pack
from xcapi_core.cli.stop import Stop

__all__ = ["Sender"]

_REQUESTS_AT_ONCE: Final = 4
_MESSAGES_A_REQUEST: Final = 100


class Sender:
    """Publishes packs in order. Counts, and `confirmed`, are of what Pub/Sub has answered for."""

    def __init__(self, publisher: PublisherClient, topic: str, pace: Pace, stop: Stop) -> None:
        self._publisher = publisher
        self._topic = topic
        self._pace = pace
        self._stop = stop
        self._lock = threading.Lock()
        # Requests in the order of the file: done ones are taken from the front.
        self._order: list[_Request] = []
        self.events = 0
        self.messages = 0
        self.confirmed = 0
        self.trouble = ""

    def send(self, packs: Iterator[Pack], *, events_per_message: int, start: int) -> None:
        """Publish until all is confirmed, or the stop is told, or something is refused; see `trouble`."""
        self.confirmed = start
        room = threading.Semaphore(2 * _REQUESTS_AT_ONCE)  # so many are read ahead: memory stays flat
        most = min(_MESSAGES_A_REQUEST, max(1, self._pace.portion // events_per_message))
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE, thread_name_prefix="publish") as threads:
            for request in requests_of(packs, most):
                room.acquire()
                if self.trouble or not self._pace.wait(sum(pack.events for pack in request), self._stop):
                    break
                entry = _Request(request)
                with self._lock:
                    self._order.append(entry)
                threads.submit(self._publish, entry).add_done_callback(lambda _: room.release())

    def _publish(self, entry: "_Request") -> None:
        if self._stop.is_told or self.trouble:
            return
        try:
            published, refused = publish(self._publisher, self._topic, entry.packs)
        except GOOGLE_ERRORS as error:
            self.trouble = self.trouble or sentence(error, f"The topic {self._topic}")
            return
        with self._lock:
            self.messages += len(published)
            self.events += sum(pack.events for pack, _ in published)
            if refused:
                self.trouble = self.trouble or (
                    f"{self._topic} refuses a message, that of line {refused[0].through}: has the topic a schema?"
                )
                return
            entry.is_done = True
            while self._order and self._order[0].is_done:
                self.confirmed = self._order.pop(0).packs[-1].through


class _Request:
    __slots__ = ("is_done", "packs")

    def __init__(self, packs: list[Pack]) -> None:
        self.packs = packs
        self.is_done = False
