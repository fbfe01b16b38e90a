"""A handler with everything that belongs to it, over the fakes of tests/fakes.py; and messages to give it."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.fakes import FakePublisher, FakeSecrets, FakeX, Handler, delivery, failed, ok
from xcapi_core.deliveries.delivery import ACK, Answer
from xcapi_core.deliveries.outbox import Publisher
from xcapi_core.ledger import Ledger
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.service import build_handler
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.x_api.client import XTransport
from xcapi_core.x_api.protocol import HttpResponse, TransportFailure

__all__ = [
    "ACK",
    "OTHER_PIXEL",
    "PIXEL",
    "PUBLISH_TIME",
    "HandlerRig",
    "down_for_the_other_pixel",
    "event",
    "logged",
    "message",
    "refusing",
    "summary",
]

PIXEL = "o8z6j"
OTHER_PIXEL = "p2q7x"
INVALID = {"code": "INVALID_PARAMETER", "message": "conversion_id (bad) is no good", "parameter": "conversion_id"}
PUBLISH_TIME = "2026-04-20T12:34:56.789Z"


def event(conversion_id: str, *, pixel_id: str = PIXEL, **fields: object) -> dict[str, object]:
    """Return an event of the dialect `x` that is sent as it is."""
    return {
        "event_id": f"tw-{pixel_id}-o8z21",
        "pixel_id": pixel_id,
        "conversion_id": conversion_id,
        "twclid": f"click-{conversion_id}",
        **fields,
    }


def message(
    *events: object,
    message_id: str = "1",
    data: bytes | None = None,
    attributes: dict[str, str] | None = None,
    delivery_attempt: int | None = None,
) -> PubsubMessage:
    """Return a delivery of these events as an array, or of `data` as it stands."""
    return delivery(
        msgspec.json.encode(events) if data is None else data,
        attributes,
        message_id=message_id,
        publish_time=PUBLISH_TIME,
        subscription="projects/p/subscriptions/s",
        delivery_attempt=delivery_attempt,
    )


class HandlerRig:
    """Two pixels over one X, one Secret Manager, one dead-letter topic, and a remainder topic where it is asked for."""

    def __init__(
        self,
        x: FakeX | None = None,
        *,
        transport: XTransport | None = None,
        publisher: Publisher | None = None,
        remainder: Publisher | None = None,
        ledger: Ledger | None = None,
        clock: Callable[[], float] | None = None,
        wall_clock: Callable[[], datetime] = lambda: datetime(2026, 4, 20, 12, 35, tzinfo=UTC),
        **settings: object,
    ) -> None:
        self.x = x or FakeX()
        self.clock = clock or asyncio.get_running_loop().time
        self.secrets = FakeSecrets()
        self.dead_letters = FakePublisher()
        self.remainder = remainder
        self.ledger = ledger or Ledger()
        pixels = {
            pixel_id: PixelSettings(
                pixel_id=pixel_id, credentials="env:KEYS", event_ids={"purchase": f"tw-{pixel_id}-o8z21"}
            )
            for pixel_id in (PIXEL, OTHER_PIXEL)
        }
        self.settings = Settings(
            dead_letter_topic="file:dead_letters",
            pixels=pixels,
            default_pixel=PIXEL,
            **settings,  # type: ignore[arg-type]  # a test's settings, by name
        )
        self.handler = build_handler(
            self.settings,
            secrets=self.secrets,
            transport=transport or self.x,
            dead_letters=publisher or self.dead_letters,
            remainder=remainder,
            ledger=self.ledger,
            clock=self.clock,
            wall_clock=wall_clock,
        )

    async def handle(self, *events: object) -> Answer:
        """Handle one message of these events, with a message id of its own where it is not the first."""
        return await self.handler.handle(message(*events))

    def has(self, conversion_id: str, pixel_id: str = PIXEL) -> bool:
        """Tell whether the ledger holds this conversion."""
        key = self.ledger.digest(pixel_id, "o8z21", conversion_id)
        return self.ledger.has(key, self.clock())

    @property
    def sent(self) -> list[str]:
        """The conversion ids that X was sent, request by request."""
        return [conversion_id for request in self.x.requests for conversion_id in request]

    @property
    def reasons(self) -> list[str]:
        """The reasons of the dead letters that were published."""
        return [dead_letter.attributes["xcapi_reason"] for dead_letter in self.dead_letters.messages]


def logged(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the log lines since the last look."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def summary(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the line that sums a delivery up."""
    (line,) = [line for line in logged(capfd) if line["event"] in {"delivery.settled", "delivery.deferred"}]
    return line


def refusing(*bad: str) -> Handler:
    """Let X refuse the conversions of these ids, and name them."""

    def handler(conversions: list[dict[str, object]]) -> HttpResponse:
        errors = [
            {**INVALID, "message": f"conversion_id ({item['conversion_id']}) is no good"}
            for item in conversions
            if item["conversion_id"] in bad
        ]
        return failed(400, *errors) if errors else ok(len(conversions))

    return handler


def down_for_the_other_pixel(conversions: list[dict[str, object]]) -> HttpResponse | TransportFailure:
    """Answer 503 for one of the two pixels, and refuse the conversion `bad` of the other."""
    return failed(503) if OTHER_PIXEL in str(conversions) else refusing("bad")(conversions)
