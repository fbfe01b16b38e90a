"""Stand-ins for the function's ports, for tests of what lies between them. The real ones are met in tests/e2e."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.outgoing import OutgoingMessage
from xcapi_core.outcomes import Outcome
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.x_api.credential_cache import Secret, SecretUnavailable
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure
from xcapi_core.x_api.queue import Waiting

KEYS = b'{"consumer_key":"ck","consumer_secret":"cs","access_token":"at","access_token_secret":"ats"}'

Handler = Callable[[list[dict[str, object]]], HttpResponse | TransportFailure]


def conversion(conversion_id: str, *, pixel_id: str = "o8z6j", event_tag: str = "o8z21", **wire: object) -> Conversion:
    fields = {"event_id": event_tag, "conversion_id": conversion_id, **wire}
    return Conversion(
        pixel_id=pixel_id, event_tag=event_tag, conversion_id=conversion_id, wire=msgspec.json.encode(fields)
    )


def delivery(
    data: bytes,
    attributes: Mapping[str, str] | None = None,
    *,
    message_id: str = "1",
    publish_time: str = "",
    subscription: str = "",
    delivery_attempt: int | None = None,
) -> PubsubMessage:
    """Return a delivery as messages.py reads it; without more said, of an envelope that had no more."""
    return PubsubMessage(
        message_id=message_id,
        publish_time=publish_time,
        data=data,
        attributes=attributes or {},
        subscription=subscription,
        ordering_key="",
        delivery_attempt=delivery_attempt,
    )


def ok(count: int, **headers: str) -> HttpResponse:
    body = {"data": {"conversions_processed": count, "debug_id": "00000000-0000-0000-0000-000000000000"}}
    return HttpResponse(status=200, headers=headers, body=msgspec.json.encode(body))


def failed(status: int, *errors: dict[str, str], **headers: str) -> HttpResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=names, body=msgspec.json.encode({"errors": list(errors)}))


class FakeX:
    """Answers requests by a handler; counts them and how many were open at once."""

    def __init__(self, handler: Handler | None = None, *, latency_s: float = 0.0) -> None:
        self.handler = handler or (lambda conversions: ok(len(conversions)))
        self.latency_s = latency_s
        self.requests: list[list[str]] = []
        self.credentials: list[Credentials] = []
        self.open = 0
        self.most_open = 0

    @property
    def sizes(self) -> list[int]:
        return [len(request) for request in self.requests]

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        conversions = msgspec.json.decode(request.body)["conversions"]
        self.requests.append([item["conversion_id"] for item in conversions])
        self.credentials.append(credentials)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self.latency_s)
        except TimeoutError:
            return TransportFailure("timeout")
        finally:
            self.open -= 1
        return self.handler(conversions)


class Outcomes:
    """Has conversions sent, and keeps what became of each."""

    def __init__(self) -> None:
        self._futures: dict[Waiting, asyncio.Future[Outcome]] = {}

    def future_of(self, waiting: Waiting) -> "asyncio.Future[Outcome]":
        return self._futures.setdefault(waiting, asyncio.get_running_loop().create_future())

    def take_outcome(self, waiting: Waiting, outcome: Outcome) -> None:
        future = self.future_of(waiting)
        if not future.done():
            future.set_result(outcome)


class FakeSecrets:
    """Secret Manager as seen from the keyring: payloads may change, fail or hang."""

    def __init__(self, payload: bytes = KEYS) -> None:
        self.payload: bytes | None = payload
        self.reads = 0
        self.released: asyncio.Event | None = None

    async def read(self, reference: str) -> Secret:
        self.reads += 1
        if self.released:
            await self.released.wait()
        await asyncio.sleep(0)
        if self.payload is None:
            raise SecretUnavailable("Secret Manager answered UNAVAILABLE")
        return Secret(payload=self.payload, version=f"{reference}/versions/{self.reads}")


class FakePublisher:
    """A topic: keeps what is published, or fails with a cause."""

    def __init__(self) -> None:
        self.messages: list[OutgoingMessage] = []
        self.requests = 0
        self.cause: str | None = None
        self.released: asyncio.Event | None = None

    async def publish(self, messages: Sequence[OutgoingMessage], timeout_s: float) -> str | None:  # noqa: ARG002
        self.requests += 1
        if self.released:
            await self.released.wait()
        if self.cause is None:
            self.messages += messages
        return self.cause
