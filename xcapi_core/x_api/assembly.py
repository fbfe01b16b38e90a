"""Builds what sends a pixel's conversions to X, for the function and for its tests."""

from collections.abc import Callable

from xcapi_core.ledger import Ledger
from xcapi_core.settings import Settings
from xcapi_core.x_api.batcher import Batcher
from xcapi_core.x_api.client import Exchange, XTransport
from xcapi_core.x_api.credential_cache import Keyring, SecretReader
from xcapi_core.x_api.rate_limiter import Pacer
from xcapi_core.x_api.sending import Sender

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
        pacer = Pacer(settings.rate)
        exchange = Exchange(
            settings=settings,
            pixel_id=pixel_id,
            keyring=Keyring(pixel_id=pixel_id, reference=pixel.credentials, reader=secrets, clock=clock),
            transport=transport,
            pacer=pacer,
            clock=clock,
        )
        sender = Sender(settings=settings, pixel_id=pixel_id, exchange=exchange, pacer=pacer, clock=clock)
        batchers[pixel_id] = Batcher(
            batch=settings.batch, pixel_id=pixel_id, sender=sender, pacer=pacer, ledger=ledger, clock=clock
        )
    return batchers
