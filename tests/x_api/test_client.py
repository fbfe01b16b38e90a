"""One batch to X and back. What its verdicts lead to is in test_batcher.py."""

import math

import pytest

from tests.fakes import FakeSecrets, FakeX, conversion, failed
from xcapi_core.settings import PixelSettings, RateSettings, Settings
from xcapi_core.x_api.batch_size import BatchSize
from xcapi_core.x_api.client import SendWindow, XClient
from xcapi_core.x_api.credential_cache import CredentialCache
from xcapi_core.x_api.pause import Pause
from xcapi_core.x_api.rate_limiter import RateLimiter

SPENT = {"code": "TOO_MANY_REQUESTS", "message": "", "parameter": ""}


class HaltingMachine:
    """Two clocks of one machine, which halts for half a second after each look at either."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 0.5
        return self.now

    def epoch(self) -> float:
        return 1_790_000_000.0 + self.monotonic()


@pytest.mark.parametrize("header", ["x_account_rate_limit_reset", "x_rate_limit_reset"])
async def test_pause_never_ends_before_the_moment_that_x_named(header: str) -> None:
    machine = HaltingMachine()
    reset_at = machine.now + 60
    pixel = PixelSettings(pixel_id="o8z6j", credentials="env:KEYS", event_ids={})
    pause, limiter = Pause(), RateLimiter(RateSettings())
    client = XClient(
        settings=Settings(dead_letter_topic="file:x", pixels={"o8z6j": pixel}),
        pixel_id="o8z6j",
        credentials=CredentialCache(
            pixel_id="o8z6j", reference="env:KEYS", reader=FakeSecrets(), clock=machine.monotonic
        ),
        transport=FakeX(lambda _: failed(429, SPENT, **{header: str(1_790_000_000.0 + reset_at)})),
        limiter=limiter,
        pause=pause,
        size=BatchSize(500),
        clock=machine.monotonic,
        epoch_clock=machine.epoch,
    )
    reservation = limiter.reserve(0.0, 1)
    assert reservation is not None
    answer = await client.send([conversion("c1")], reservation, SendWindow(math.inf, lambda: True))
    assert answer is not None
    assert reset_at <= pause.ends_at(0.0) <= reset_at + 2
