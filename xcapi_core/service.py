"""The function put together: what one process holds, and how it starts and stops."""

import asyncio
import contextlib
import signal
import threading
import time
from types import FrameType

from xcapi_core import logs
from xcapi_core.adapters.dead_letters import open_dead_letters
from xcapi_core.adapters.secrets import Secrets
from xcapi_core.adapters.x_session import XSession
from xcapi_core.deliveries.admission import Admission
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.deliveries.handler import DeliveryHandler
from xcapi_core.deliveries.publishing import Mailer
from xcapi_core.ledger import Ledger
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import Settings
from xcapi_core.x_api.assembly import build_batchers

__all__ = ["Service"]

# Cloud Run kills ten seconds after SIGTERM; what is on its way by then is given up a little earlier, in time to answer.
STOP_WITHIN_S = 8.0


class _UntilStopped:
    """The block ends where it waits when the service stops."""

    __slots__ = ("_reader", "_service")

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._reader = asyncio.current_task()

    def __enter__(self) -> None:
        if self._reader is not None:
            self._service.readers.add(self._reader)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if self._reader is None:
            return False
        self._service.readers.discard(self._reader)
        if not (isinstance(error, asyncio.CancelledError) and self._service.is_stopping):
            return False
        self._reader.uncancel()
        return True


class Service:
    """Everything behind the function, for one event loop. Build it in the worker, after the server has forked it."""

    def __init__(self, settings: Settings) -> None:
        clock = time.monotonic
        self.admission = Admission()
        self.is_stopping = False
        self.readers: set[asyncio.Task[object]] = set()
        self._transport = XSession(max_in_flight=settings.batch.max_in_flight * len(settings.pixels))
        ledger = Ledger()
        self._mailer = Mailer(publisher=open_dead_letters(settings.dead_letter_topic), ledger=ledger, clock=clock)
        batchers = build_batchers(settings, secrets=Secrets(), transport=self._transport, ledger=ledger, clock=clock)
        self._handler = DeliveryHandler(
            settings=settings, batchers=batchers, ledger=ledger, mailer=self._mailer, clock=clock
        )
        self._chain_sigterm(asyncio.get_running_loop())

    async def forward(self, message: PubsubMessage) -> Answer:
        """Settle one delivery."""
        return await self._handler.forward(message)

    def until_stopped(self) -> "_UntilStopped":
        """Return a context in which whoever waits for a body is woken when the service stops; `is_stopping` tells."""
        return _UntilStopped(self)

    def stop(self) -> None:
        """Answer whoever waits, finish what is on its way within 8 s, accept nothing new."""
        if self.is_stopping:
            return
        self.is_stopping = True
        logs.emit("INFO", "service.stopping")
        self._handler.stop()
        for reader in self.readers:
            reader.cancel()
        asyncio.get_running_loop().call_later(STOP_WITHIN_S, self._give_up)

    def _give_up(self) -> None:
        self._transport.abort()
        self._mailer.give_up()

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
