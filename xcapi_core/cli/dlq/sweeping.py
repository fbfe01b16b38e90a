"""Going through a subscription once: several pulls at a time, until nothing new has come for ten seconds."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from google.api_core import exceptions
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.types import PullRequest

from xcapi_core.cli.dlq.dead_letter import DeadLetter, received
from xcapi_core.cli.dlq.leases import Leases
from xcapi_core.cli.google.errors import transient_retry
from xcapi_core.cli.stop import Stop

__all__ = ["SILENCE_S", "Sweep"]

# A pull may come back empty although there is something: Pub/Sub promises no more than that it tries.
SILENCE_S = 10.0
_PULLS_AT_ONCE: Final = 4
_FRUITLESS_PULLS: Final = 2  # of each of them
_MOST_A_PULL: Final = 1_000
# Of large bodies, no more at a time than fit in memory four times.
_PULL_BYTES: Final = 16_000_000
_TICK_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 0.5
_CALL_TIMEOUT_S: Final = 30.0


class Sweep:
    """Hands what it pulls to `handle`, in several threads; each message once, and leased."""

    def __init__(
        self,
        subscriber: SubscriberClient,
        subscription: str,
        leases: Leases,
        stop: Stop,
        *,
        pulls_at_once: int = _PULLS_AT_ONCE,
    ) -> None:
        self._subscriber = subscriber
        self._subscription = subscription
        self._leases = leases
        self._stop = stop
        self._pulls_at_once = pulls_at_once
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._busy = 0
        self._last_new = 0.0
        self._fruitless = 0
        self._average_bytes = 1.0
        self._error: BaseException | None = None

    def finish(self) -> None:
        """Pull no more: what was wanted has been found."""
        self._is_over.set()

    def run(self, handle: Callable[[Sequence[DeadLetter]], bool], tick: Callable[[], None]) -> None:
        """Go through the subscription until it is empty, `finish` is called or the stop is told.

        `handle` gets some messages at a time and says whether any was news: what arrives all the while, and is of no
        interest, does not keep it going. `tick` is called five times a second in this thread. Raises what `handle`
        and Google's client raise.
        """
        self._last_new = time.monotonic()
        threads = [
            threading.Thread(target=self._pull_on, args=(handle,), name=f"pull-{number}", daemon=True)
            for number in range(self._pulls_at_once)
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._is_over.is_set() and not self._stop.wait(_TICK_S):
                tick()
                with self._lock:
                    # A pull that hangs is no silence.
                    asked = self._fruitless >= _FRUITLESS_PULLS * self._pulls_at_once
                    if asked and not self._busy and time.monotonic() - self._last_new >= SILENCE_S:
                        break
        finally:
            # What is on its way is published and acked, or known to be neither, before anything is given back.
            self._is_over.set()
            for thread in threads:
                thread.join()
        tick()
        if self._error is not None:
            raise self._error

    def _pull_on(self, handle: Callable[[Sequence[DeadLetter]], bool]) -> None:
        pause_s = _TICK_S / 4
        try:
            while not self._is_over.is_set() and not self._stop.is_told:
                dead_letters = self._pull()
                with self._working():
                    new = self._leases.take(dead_letters) if dead_letters else []
                    is_news = bool(new) and handle(new)
                if is_news:
                    pause_s = _TICK_S / 4
                with self._lock:
                    self._fruitless = 0 if is_news else self._fruitless + 1
                    if is_news:
                        self._last_new = time.monotonic()
                if not new:
                    self._is_over.wait(pause_s)
                    pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that started this one
            self._error = error
            self._is_over.set()

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def _pull(self) -> list[DeadLetter]:
        wanted = max(1, min(_MOST_A_PULL, int(_PULL_BYTES / self._average_bytes)))
        try:
            answer = self._subscriber.pull(
                PullRequest(subscription=self._subscription, max_messages=wanted, return_immediately=True),
                retry=transient_retry(60.0),
                timeout=_CALL_TIMEOUT_S,
            )
        except exceptions.DeadlineExceeded:
            return []
        dead_letters = [received(message) for message in type(answer).pb(answer).received_messages]
        if dead_letters:
            self._average_bytes = max(
                1.0, sum(len(dead_letter.data) for dead_letter in dead_letters) / len(dead_letters)
            )
        return dead_letters
