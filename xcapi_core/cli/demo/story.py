"""The story that `xcapi demo` tells: acts, events, and each event's expected end. Only data."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from xcapi_core.cli.demo.planned import Act, DeadLettered, Delivered, ExpectedEnd, PlannedEvent, PlannedMessage, Skipped
from xcapi_core.cli.demo.sources import tell_of_sources

__all__ = ["EXAMPLE_ID", "OAUTH_PIXEL", "TOKEN_PIXEL", "tell_story"]

OAUTH_PIXEL: Final = "o8z6j"
TOKEN_PIXEL: Final = "p9q7k"  # noqa: S105 - a pixel's id, not a token
# The event that is shown beside the request it becomes.
EXAMPLE_ID: Final = "order-1001"

_AT_OAUTH_PIXEL: Final = Delivered(OAUTH_PIXEL)
_RESET_IN_S: Final = 3
_RETRY_AFTER_S: Final = 2
# Nobody's: an address of RFC 5737, a number that the North American plan reserves for fiction, a domain of RFC 2606.
_IP_ADDRESS: Final = "203.0.113.7"
_PHONE: Final = "+1 202 555 0143"
_E164: Final = "+12025550143"
_EMAIL: Final = "ada@example.com"
_USER_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_CLICK_ID: Final = "23opevjt88psuo13lu8d020qkn"


def tell_story(now: datetime) -> tuple[Act, ...]:
    """Write the story; its events happened at `now`."""
    happened_at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        _one_event(happened_at),
        _every_identifier(happened_at),
        tell_of_sources(happened_at, int(now.timestamp() * 1_000_000), OAUTH_PIXEL),
        Act(
            title="X refuses 1 of 501 and names it",
            messages=(_crowd("named", 501, happened_at, bad=250, bad_end=_UNKNOWN_TAG),),
        ),
        Act(
            title="X refuses 1 of 501, not saying which",
            messages=(_crowd("unnamed", 501, happened_at, bad=123, bad_end=_UNNAMED),),
            faults=({"refuse": {"conversion_id": "unnamed-123", "named": False, "message": _UNNAMED.words}},),
        ),
        _bad_input(happened_at),
        Act(
            title=f"X answers 429, reset in {_RESET_IN_S} s",
            messages=tuple(_crowd(f"limited-{name}", 50, happened_at) for name in "abc"),
            faults=({"status": 429, "reset_in_s": _RESET_IN_S, "times": 1},),
        ),
        Act(
            title=f"X answers 503, retry after {_RETRY_AFTER_S} s",
            messages=(_crowd("overloaded", 50, happened_at),),
            faults=({"status": 503, "code": "OVER_CAPACITY", "retry_after_s": _RETRY_AFTER_S, "times": 1},),
        ),
        Act(
            title="X drops the connection",
            messages=(_crowd("dropped", 50, happened_at),),
            faults=({"drop": "before", "times": 1},),
        ),
        Act(
            title="X is well again",
            messages=tuple(_crowd(f"well-{name}", 100, happened_at) for name in "abcde"),
        ),
        Act(
            title="The keys are rotated",
            messages=(
                _crowd("rotated", 50, happened_at),
                _crowd("rotated-token", 50, happened_at, pixel_id=TOKEN_PIXEL),
            ),
            rotates_keys=True,
        ),
    )


_UNKNOWN_TAG: Final = DeadLettered("rejected", "does not belong to provided account")
_UNNAMED: Final = DeadLettered("rejected", "Invalid conversion")


def _one_event(happened_at: str) -> Act:
    fields = {
        "event": "purchase",
        "conversion_id": EXAMPLE_ID,
        "time": happened_at,
        "email": " Ada@Example.com ",
        "phone": _PHONE,
        "value": 129.9,
        "currency": "eur",
        "items": [{"id": "sku-1", "name": "Walking boots", "price": 129.9, "quantity": 1}],
    }
    event = _event("one purchase", fields, _AT_OAUTH_PIXEL)
    return Act(title="One event, alone", messages=(PlannedMessage(data=event.payload, events=(event,)),))


def _every_identifier(happened_at: str) -> Act:
    def event(label: str, pixel_id: str = OAUTH_PIXEL, **identifiers: object) -> PlannedEvent:
        conversion_id = "by-" + label.replace(" ", "-")
        fields = {"event": "sign_up", "conversion_id": conversion_id, "time": happened_at, **identifiers}
        return _event(label, fields, Delivered(pixel_id))

    cookie = quote(json.dumps({"twclid": _CLICK_ID, "timestamp": 1_700_000_000_000}))
    oauth_signed = (
        event("email", email=_EMAIL),
        event("phone", phone=_PHONE),
        event("click id", twclid=_CLICK_ID),
        event("click id cookie", twclid=cookie),
        event("ip and user agent", ip_address=_IP_ADDRESS, user_agent=_USER_AGENT),
        event("hashed email", hashed_email=_sha256(_EMAIL)),
        event("hashed phone", hashed_phone_number=_sha256(_E164).upper()),
        event("two emails", email=[_EMAIL, "ada@example.org"]),
        event("under user", user={"email": _EMAIL, "ip_address": _IP_ADDRESS, "user_agent": _USER_AGENT}),
        event("identifiers of X", identifiers=[{"hashed_email": _sha256(_EMAIL)}, {"twclid": _CLICK_ID}]),
    )
    token_signed = (
        event("email at the token pixel", TOKEN_PIXEL, email=_EMAIL),
        event("phone at the token pixel", TOKEN_PIXEL, phone=_PHONE),
    )
    return Act(
        title="Every identifier, both kinds of keys",
        messages=(_message(oauth_signed), _message(token_signed, {"pixel_id": TOKEN_PIXEL})),
    )


def _bad_input(happened_at: str) -> Act:
    no_json = b"order 1002, paid, ada"
    nobody = {"event": "purchase", "conversion_id": "nobody", "time": happened_at, "value": "20.00", "currency": "USD"}
    unwilling = {"event": "purchase", "conversion_id": "no-consent", "email": _EMAIL, "consent": False}
    sold = {"event": "purchase", "conversion_id": "good-neighbour", "time": happened_at, "email": _EMAIL}
    rubbish = PlannedEvent(label="no JSON", conversion_id="", payload=no_json, expected=DeadLettered("invalid_message"))
    return Act(
        title="No JSON, no identifier, no consent",
        messages=(
            PlannedMessage(data=no_json, events=(rubbish,)),
            _message(
                (
                    _event("no identifier", nobody, DeadLettered("invalid_event")),
                    _event("no consent", unwilling, Skipped("no consent")),
                    _event("good neighbour", sold, _AT_OAUTH_PIXEL),
                )
            ),
        ),
    )


def _crowd(
    name: str,
    size: int,
    happened_at: str,
    *,
    pixel_id: str = OAUTH_PIXEL,
    bad: int | None = None,
    bad_end: DeadLettered = _UNKNOWN_TAG,
) -> PlannedMessage:
    """One message of many purchases, of which the one at index `bad` ends elsewhere."""
    events = []
    for index in range(size):
        fields: dict[str, object] = {
            "event": "purchase",
            "conversion_id": f"{name}-{index}",
            "time": happened_at,
            "email": f"buyer-{index}@example.com",
            "value": f"{index % 90 + 10}.50",
            "currency": "USD",
        }
        if index == bad and bad_end is _UNKNOWN_TAG:
            del fields["event"]
            fields["event_id"] = f"tw-{pixel_id}-zzzzz"  # of this pixel by its form, but nobody made it
        expected: ExpectedEnd = bad_end if index == bad else Delivered(pixel_id)
        events.append(_event(f"{name} {index}", fields, expected))
    attributes = {} if pixel_id == OAUTH_PIXEL else {"pixel_id": pixel_id}
    return _message(events, attributes)


def _message(events: Iterable[PlannedEvent], attributes: Mapping[str, str] | None = None) -> PlannedMessage:
    events = tuple(events)
    data = b"[" + b",\n ".join(event.payload for event in events) + b"]"
    return PlannedMessage(data=data, events=events, attributes=attributes or {})


def _event(label: str, fields: Mapping[str, object], expected: ExpectedEnd) -> PlannedEvent:
    return PlannedEvent(
        label=label,
        conversion_id=str(fields["conversion_id"]),
        payload=json.dumps(fields).encode(),
        expected=expected,
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
