"""The messages that this process holds: their leases are kept alive, and what is not acked is given back."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from google.pubsub_v1.services.subscriber import SubscriberClient

from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.google.errors import GOOGLE_ERRORS, transient_retry

__all__ = ["LEASE_S", "Leases"]

# The longest that Pub/Sub grants; after a crash it is also how long nobody sees what was held.
LEASE_S = 600
# Pub/Sub, "Quotas and limits": a request for acks or leases has 524,288 bytes at most. How many ids it holds is ours.
_IDS_A_REQUEST: Final = 1_000
_ID_BYTES_A_REQUEST: Final = 500_000
_CALL_TIMEOUT_S: Final = 20.0
_RETRY_S: Final = 60.0


class Leases:
    """Remembers ids, no bodies: what is held, and what was acked in this run.

    Pub/Sub delivers at least once. What is held and comes again only gets a new ack id; what was acked and comes again
    is acked again. A lease that may have run out (the machine slept) counts as lost: then somebody else may have the
    message, and it is not this process's to publish. Safe for several threads.
    """

    def __init__(self, subscriber: SubscriberClient, subscription: str, clock: Callable[[], float] = time.time) -> None:
        self._subscriber = subscriber
        self._subscription = subscription
        # The wall clock: the monotonic one stands still while a laptop sleeps, and a lease does not.
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, float]] = {}  # message id → ack id, when its lease began
        self._acked: set[str] = set()
        self._is_over = threading.Event()
        self._keeper = threading.Thread(target=self._keep_alive, name="leases", daemon=True)

    def __enter__(self) -> Self:
        """Start to keep leases alive."""
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give back whatever is still held."""
        self._is_over.set()
        self._keeper.join()
        self.give_back()

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._held)

    def take(self, dead_letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Extend the leases of pulled messages; return those that were not seen before. Raises Google's errors."""
        began = self._clock()
        self._extend([dead_letter.ack_id for dead_letter in dead_letters], LEASE_S)
        with self._lock:
            new = [
                dead_letter
                for dead_letter in {dead_letter.message_id: dead_letter for dead_letter in dead_letters}.values()
                if dead_letter.message_id not in self._held and dead_letter.message_id not in self._acked
            ]
            again = [dead_letter for dead_letter in dead_letters if dead_letter.message_id in self._acked]
            for dead_letter in dead_letters:
                if dead_letter.message_id not in self._acked:
                    self._held[dead_letter.message_id] = (dead_letter.ack_id, began)
        self._acknowledge([dead_letter.ack_id for dead_letter in again])
        return new

    def alive(self, message_ids: Iterable[str]) -> set[str]:
        """Return those of which the lease surely holds; the others are lost, and forgotten."""
        oldest = self._clock() - LEASE_S * 0.95
        alive: set[str] = set()
        with self._lock:
            for message_id in message_ids:
                _, began = self._held.get(message_id, ("", 0.0))
                if began > oldest:
                    alive.add(message_id)
                else:
                    self._held.pop(message_id, None)
        return alive

    def ack(self, message_ids: Sequence[str]) -> None:
        """Acknowledge messages for good. Raises Google's errors: then they are held on, and a second try may do."""
        with self._lock:
            ack_ids = [self._held[message_id][0] for message_id in message_ids if message_id in self._held]
        self._acknowledge(ack_ids)
        with self._lock:
            for message_id in message_ids:
                self._held.pop(message_id, None)
                self._acked.add(message_id)

    def give_back(self) -> None:
        """Let others have what is held, at once. Where that fails, the leases run out by themselves."""
        with self._lock:
            ack_ids = [ack_id for ack_id, _ in self._held.values()]
            self._held.clear()
        with suppress(*GOOGLE_ERRORS):
            self._extend(ack_ids, 0)

    def _keep_alive(self) -> None:
        while not self._is_over.wait(LEASE_S / 3):
            began = self._clock()
            with self._lock:
                held = [(message_id, ack_id) for message_id, (ack_id, _) in self._held.items()]
            for some in _requests(held):
                with suppress(*GOOGLE_ERRORS):  # what is not extended is found out by its age
                    self._extend([ack_id for _, ack_id in some], LEASE_S)
                    with self._lock:
                        for message_id, ack_id in some:
                            if self._held.get(message_id, ("", 0.0))[0] == ack_id:
                                self._held[message_id] = (ack_id, began)

    def _extend(self, ack_ids: Sequence[str], seconds: int) -> None:
        for some in _requests([(ack_id, ack_id) for ack_id in ack_ids]):
            self._subscriber.modify_ack_deadline(
                subscription=self._subscription,
                ack_ids=[ack_id for ack_id, _ in some],
                ack_deadline_seconds=seconds,
                retry=transient_retry(_RETRY_S),
                timeout=_CALL_TIMEOUT_S,
            )

    def _acknowledge(self, ack_ids: Sequence[str]) -> None:
        for some in _requests([(ack_id, ack_id) for ack_id in ack_ids]):
            self._subscriber.acknowledge(
                subscription=self._subscription,
                ack_ids=[ack_id for ack_id, _ in some],
                retry=transient_retry(_RETRY_S),
                timeout=_CALL_TIMEOUT_S,
            )


def _requests(pairs: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    """Cut (any, ack id) into requests of at most 1,000 ids and 500,000 bytes of them."""
    start = size = 0
    for number, (_, ack_id) in enumerate(pairs):
        if number - start == _IDS_A_REQUEST or (size and size + len(ack_id) > _ID_BYTES_A_REQUEST):
            yield pairs[start:number]
            start, size = number, 0
        size += len(ack_id)
    if start < len(pairs):
        yield pairs[start:]
