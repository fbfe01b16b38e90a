"""Builds what sends a pixel's conversions to X, for the function and for its tests."""

from collections.abc import Callable

from xcapi_core.ledger import Ledger
from xcapi_core.settings import Settings
from xcapi_core.x_api.batch_size import BatchSize
from xcapi_core.x_api.batcher import Batcher
from xcapi_core.x_api.client import XClient, XTransport
from xcapi_core.x_api.credential_cache import CredentialCache, SecretReader
from xcapi_core.x_api.pause import Pause
from xcapi_core.x_api.rate_limiter import RateLimiter

__all__ = ["build_batchers"]


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
