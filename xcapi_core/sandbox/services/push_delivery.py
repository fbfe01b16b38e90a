"""Push delivery as Pub/Sub does it: deadline, redelivery with back-off, dead-lettering, many at a time."""

import base64
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

from xcapi_core.sandbox.services.pubsub import DeliveryPath

__all__ = ["ACKNOWLEDGING_STATUSES", "Pusher", "StoredMessage"]

# Pub/Sub: "Receive push messages": these acknowledge, everything else is a nack.
ACKNOWLEDGING_STATUSES = frozenset({102, 200, 201, 202, 204})
_MAX_CONCURRENT_PUSHES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A published message, as it is kept until it is acknowledged."""

    message_id: str
    publish_time: str
    data: bytes = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    ordering_key: str = ""


@dataclass(order=True, slots=True)
class _Due:
    at: float
    tie_breaker: int
    attempt: int = field(compare=False)
    message: StoredMessage = field(compare=False)


class Pusher:
    """Pushes one subscription's messages until each is acknowledged or has used up its attempts."""

    def __init__(self, path: DeliveryPath, dead_letter: Callable[[StoredMessage, int], None]) -> None:
        """Begin; `dead_letter` receives what is given up, with the number of attempts made."""
        self._path = path
        self._dead_letter = dead_letter
        self._due: list[_Due] = []
        self._tie_breaker = itertools.count()
        self._changed = threading.Condition()
        self._open = True
        self._unacked: set[str] = set()
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(_MAX_CONCURRENT_PUSHES, thread_name_prefix="push")
        self._slots = threading.Semaphore(_MAX_CONCURRENT_PUSHES)
        self._scheduler = threading.Thread(target=self._schedule, name="push scheduler", daemon=True)
        self._scheduler.start()

    @property
    def unacked(self) -> int:
        """How many messages are neither acknowledged nor given up."""
        return len(self._unacked)

    @property
    def unacked_ids(self) -> frozenset[str]:
        """The ids of these messages."""
        with self._changed:
            return frozenset(self._unacked)

    def accept(self, message: StoredMessage) -> None:
        """Take a message; its first push follows at once."""
        with self._changed:
            self._unacked.add(message.message_id)
            self._enqueue(message, attempt=1, delay_s=0.0)

    def close(self) -> None:
        """Stop: what is unacknowledged is forgotten, a push in flight ends by itself."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._scheduler.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _enqueue(self, message: StoredMessage, *, attempt: int, delay_s: float) -> None:
        heapq.heappush(self._due, _Due(time.monotonic() + delay_s, next(self._tie_breaker), attempt, message))
        self._changed.notify()

    def _schedule(self) -> None:
        while (due := self._next()) is not None:
            while not self._slots.acquire(timeout=0.2):
                if not self._open:
                    return
            self._pool.submit(self._push, due.message, due.attempt)

    def _next(self) -> _Due | None:
        with self._changed:
            while self._open:
                if not self._due:
                    self._changed.wait()
                elif (wait_s := self._due[0].at - time.monotonic()) > 0:
                    self._changed.wait(wait_s)
                else:
                    return heapq.heappop(self._due)
            return None

    def _push(self, message: StoredMessage, attempt: int) -> None:
        try:
            acknowledged = self._deliver(message, attempt)
        finally:
            self._slots.release()
        with self._changed:
            if not acknowledged and attempt < self._path.max_delivery_attempts:
                self._enqueue(message, attempt=attempt + 1, delay_s=_backoff_s(self._path, attempt))
                return
        if not acknowledged:
            self._dead_letter(message, attempt)
        with self._changed:
            self._unacked.discard(message.message_id)

    def _deliver(self, message: StoredMessage, attempt: int) -> bool:
        try:
            answer = self._session().post(
                self._path.push_endpoint,
                json=_envelope(message, self._path.subscription, attempt),
                timeout=self._path.ack_deadline_s,
                allow_redirects=False,
            )
        except requests.RequestException:
            return False
        return answer.status_code in ACKNOWLEDGING_STATUSES

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # a proxy has no business on loopback
            session.headers["User-Agent"] = "CloudPubSub-Google"  # as the real pushes have it
            self._local.session = session
        return session


def _backoff_s(path: DeliveryPath, failed_attempts: int) -> float:
    """Double from the minimum to the maximum; `failed_attempts` counts from 1."""
    # The exponent is bounded: 2**100 attempts would overflow nothing, but say nothing either.
    return float(min(path.max_backoff_s, path.min_backoff_s * 2 ** min(failed_attempts - 1, 16)))


def _envelope(message: StoredMessage, subscription: str, attempt: int) -> dict[str, object]:
    """Write the body of a push, both spellings included, without what is empty: as Pub/Sub does."""
    body: dict[str, object] = {
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": message.publish_time,
        "publish_time": message.publish_time,
    }
    if message.data:
        body["data"] = base64.b64encode(message.data).decode()
    if message.attributes:
        body["attributes"] = dict(message.attributes)
    if message.ordering_key:
        body["orderingKey"] = message.ordering_key
    return {"message": body, "subscription": subscription, "deliveryAttempt": attempt}
