"""What both targets know that read messages: settings, dictionary, and the oracle on what goes out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tests.fuzz.planted import PERSONAL, assert_discreet
from xcapi_core.conversions import Conversion
from xcapi_core.events.drops import Drop
from xcapi_core.events.reading import ReadEvent
from xcapi_core.sandbox.config import SandboxPixel
from xcapi_core.sandbox.rules import judge
from xcapi_core.settings import PixelSettings

__all__ = [
    "NAMES",
    "PIXELS",
    "RECEIVED",
    "VALUES",
    "assert_x_takes",
    "case_events",
    "expected_elements",
    "pixel_settings",
    "shown_safely",
]

TESTS = Path(__file__).parents[2]
RECEIVED = datetime(2026, 4, 20, 12, 35, tzinfo=UTC)
PIXELS = ("o8z6j", "p2q7x")

NAMES = """
    event event_name event_id pixel_id email phone hashed_email hashed_phone_number twclid ip_address user_agent user
    identifiers conversion_time time timestamp conversion_id transaction_id order_id value conversion_value
    value_micros price_currency currency conversion_currency contents items products content_ids content_type
    number_items number_item description event_source_url search_string consent consent_state gcs gcd opt_out gpc
    limit_ad_tracking privacy_info us_privacy context properties params traits events conversions content_id
    content_price price quantity num_items content_name item_id item_name item_category content_group_id
    ad_storage ad_user_data categoryPreferences consentManagement allowedConsentIds deniedConsentIds ads_storage
    x-ga-gcs name type batch client_id user_data event_params app_instance_id ip_override timestamp_micros user_id
    event_timestamp ecommerce purchase_revenue key string_value int_value double_value page_location page_referrer
    email_address phone_number sha256_email_address sha256_phone_number address search_term item_group_id coupon
    x-ga-gcd x-ga-us_privacy device messageId originalTimestamp userAgent page url search ip campaign integrations
    revenue total sku product_id userId anonymousId referrer_id _twclid x-ga-page_id
    """.split()  # noqa: SIM905 - as a list it takes a screen
VALUES = (
    *(
        "purchase",
        "Sign Up",
        "tw-o8z6j-o8z21",
        "tw-p2q7x-o8z21",
        "tw-zzzzz-1",
        "o8z21",
        *PIXELS,
        "track",
        "Advertising",
    ),
    *("a@example.com", "+11234567890", "020 7946 0947", "0044 20 7946 0947", "https://shop.example/?a=1", "A-1", "A-2"),
    {"ad_storage": "granted", "ad_user_data": "denied"},
    {"categoryPreferences": {"Advertising": True}},
    {"event": "purchase", "twclid": "c1", "order_id": "A-1"},
    {"event": "purchase", **PERSONAL},
    {"content_id": "S1", "content_price": "9.99", "num_items": 2},
    [
        {"event": "purchase", "twclid": "c1", "order_id": "A-1"},
        {"event": "purchase", "twclid": "c1", "order_id": "A-1"},
    ],
    {"events": [{"event": "sign_up", "email": "a@example.com"}, {"event": "sign_up"}, 7], "consent": "denied"},
)

_DROPS = frozenset(drop.value for drop in Drop)
# What the sandbox may remark on something that reading leaves to X's judgement.
_LEFT_TO_X = ("ip_address and user_agent alone", "twclid looks hashed", "twclid is the whole _twclid cookie")


def pixel_settings() -> dict[str, PixelSettings]:
    """Return two pixels: one with names and consent categories of its own, one without."""
    wanted = {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"}
    first = PixelSettings(
        pixel_id=PIXELS[0], credentials="env:KEYS", event_ids=wanted, consent_categories=("Advertising",)
    )
    second = PixelSettings(
        pixel_id=PIXELS[1], credentials="env:KEYS", event_ids={}, conversion_id_from=("order_id", "conversion_id")
    )
    return {first.pixel_id: first, second.pixel_id: second}


def case_events() -> Iterator[object]:
    """Yield the events of the case tables, and each with planted personal data in place of its own."""
    files = sorted((TESTS / "events" / "cases").glob("*.jsonl"))
    for line in (
        line for file in [*files, TESTS / "events" / "consent_cases.jsonl"] for line in file.read_bytes().splitlines()
    ):
        event = json.loads(line)["event"]
        yield event
        if isinstance(event, dict) and not PERSONAL.keys().isdisjoint(event):
            yield event | {name: value for name, value in PERSONAL.items() if name in event}


def assert_x_takes(conversion: Conversion) -> None:
    """Hold a conversion's bytes to the sandbox's rules: what reading lets through, X must not refuse.

    But for tags, which X alone knows.
    """
    sent: Any = msgspec.json.decode(conversion.wire)
    pixel = SandboxPixel(pixel_id=conversion.pixel_id, account_id="a", event_tags={})
    finding = judge(sent, pixel, any_tag=True, named=False)
    assert not finding.errors, f"X refuses what reading let through: {[error.message for error in finding.errors]}"
    remarks = [warning for warning in finding.warnings if not warning.startswith(_LEFT_TO_X)]
    assert not remarks, f"the sandbox remarks: {remarks}"
    assert sent["conversion_id"] == conversion.conversion_id, "the dedup key differs from the one on the wire"
    assert sent["event_id"] == conversion.event_tag, "the tag differs from the one on the wire"
    assert _DROPS.issuperset(conversion.dropped), "an unknown code of what was dropped"


def shown_safely(event: ReadEvent) -> str:
    """Return the kind of result and where its problem is; nothing that it shows may be personal."""
    shown = repr(event)
    assert_discreet("the repr of an event that was read", shown)
    problem = getattr(event.result, "problem", None)
    if problem is not None:
        assert_discreet("a problem", str(problem))
    return f"{type(event.result).__name__} {getattr(problem, 'path', '')}{getattr(event.result, 'reason', '')}"


def expected_elements(data: bytes) -> list[Any] | None:
    """Return the elements of a JSON array as the standard library reads them; None where this is no such array."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
