"""Builds the objects of one process, and starts and stops them."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from types import FrameType

from xcapi_core import logs
from xcapi_core.adapters.publisher import PubsubConnection, open_publisher
from xcapi_core.adapters.secrets import Secrets
from xcapi_core.adapters.x_session import XSession
from xcapi_core.deliveries.admission import Admission
from xcapi_core.deliveries.bodies import Bodies
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.deliveries.handler import DeliveryHandler
from xcapi_core.deliveries.outbox import Outbox, Publisher
from xcapi_core.ledger import Ledger
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import Settings
from xcapi_core.watchdog import Watchdog
from xcapi_core.x_api.batch_size import BatchSize
from xcapi_core.x_api.batcher import Batcher
from xcapi_core.x_api.client import XClient, XTransport
from xcapi_core.x_api.credential_cache import CredentialCache, SecretReader
from xcapi_core.x_api.pause import Pause
from xcapi_core.x_api.rate_limiter import RateLimiter

__all__ = ["Service", "build_batchers", "build_handler"]

# Cloud Run kills ten seconds after SIGTERM. Requests to X have six of them, what is published then the rest.
END_POSTS_AFTER_S = 6.0
END_WAITING_AFTER_S = 6.3
STOP_WITHIN_S = 8.5
# A short start first: the client of Pub/Sub is not needed for the first delivery's events.
PREPARE_AFTER_S = 1.0


def build_handler(
    settings: Settings,
    *,
    secrets: SecretReader,
    transport: XTransport,
    dead_letters: Publisher,
    remainder: Publisher | None,
    admission: Admission | None = None,
    ledger: Ledger | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> DeliveryHandler:
    """Put together what settles deliveries, over these ways to the outside world."""
    return DeliveryHandler(
        settings=settings,
        batchers=build_batchers(settings, secrets=secrets, transport=transport, ledger=ledger or Ledger(), clock=clock),
        dead_letters=Outbox(dead_letters, name="dead_letters", clock=clock),
        remainder=Outbox(remainder, name="remainder", clock=clock) if remainder else None,
        admission=admission or Admission(),
        clock=clock,
        wall_clock=wall_clock,
    )


def build_batchers(
    settings: Settings,
    *,
    secrets: SecretReader,
    transport: XTransport,
    ledger: Ledger,
    clock: Callable[[], float],
) -> dict[str, Batcher]:
    """Return a batcher by pixel id; `clock` counts monotonic seconds."""
    batchers = {}
    for pixel_id, pixel in settings.pixels.items():
        limiter, pause, size = RateLimiter(settings.rate), Pause(), BatchSize(settings.batch.max_conversions)
        client = XClient(
            settings=settings,
            pixel_id=pixel_id,
            credentials=CredentialCache(pixel_id=pixel_id, reference=pixel.credentials, reader=secrets, clock=clock),
            transport=transport,
            limiter=limiter,
            pause=pause,
            size=size,
            clock=clock,
        )
        batchers[pixel_id] = Batcher(
            pixel_id=pixel_id,
            max_in_flight=settings.batch.max_in_flight,
            client=client,
            limiter=limiter,
            pause=pause,
            size=size,
            ledger=ledger,
            clock=clock,
        )
    return batchers


class Service:
    """Everything behind the function, for one event loop. Build it in the worker, after the server has forked it."""

    def __init__(self, settings: Settings) -> None:
        self.admission = Admission()
        self.bodies = Bodies(self.admission)
        self.is_stopping = False
        self._transport = XSession(max_in_flight=settings.batch.max_in_flight * len(settings.pixels))
        self._pubsub = PubsubConnection()
        self._handler = build_handler(
            settings,
            secrets=Secrets(),
            transport=self._transport,
            dead_letters=open_publisher(settings.dead_letter_topic, self._pubsub),
            remainder=open_publisher(settings.remainder_topic, self._pubsub) if settings.remainder_topic else None,
            admission=self.admission,
        )
        loop = asyncio.get_running_loop()
        if any(
            (topic or "").startswith("projects/") for topic in (settings.dead_letter_topic, settings.remainder_topic)
        ):
            loop.call_later(PREPARE_AFTER_S, self._pubsub.prepare)
        Watchdog(loop).start()
        self._chain_sigterm(loop)

    def handle(self, message: PubsubMessage, held: int) -> Coroutine[object, object, Answer]:
        """Settle one delivery, for which `held` was admitted."""
        return self._handler.handle(message, held=held)

    def stop(self) -> None:
        """Start nothing new; finish what is in flight, hand over what must wait, nack what has not begun."""
        if self.is_stopping:
            return
        self.is_stopping = True
        logs.emit("INFO", "service.stopping")
        self._pubsub.prepare()
        self._handler.stop(time.monotonic() + STOP_WITHIN_S)
        self.bodies.stop()
        loop = asyncio.get_running_loop()
        loop.call_later(END_POSTS_AFTER_S, self._transport.abort)
        loop.call_later(END_WAITING_AFTER_S, self._handler.end_waiting)
        loop.call_later(STOP_WITHIN_S, self._handler.give_up)

    def _chain_sigterm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear SIGTERM before the server does.

        The framework's app has no lifespan events, and the server's own handler, set after main.py was imported, only
        waits for open requests, without telling them.
        """
        if threading.current_thread() is not threading.main_thread():
            return  # signals belong to the main thread; a test may run the service elsewhere
        servers_own = signal.getsignal(signal.SIGTERM)

        def on_sigterm(number: int, frame: FrameType | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is under way
                loop.call_soon_threadsafe(self.stop)
            if callable(servers_own):
                servers_own(number, frame)

        signal.signal(signal.SIGTERM, on_sigterm)
