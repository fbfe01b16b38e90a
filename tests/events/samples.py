"""One sale as every dialect tells it, and messages packed with many of them: for properties and benchmarks.

`SHAPES` maps a shape's name to the function that makes its n-th event; `packed` makes a message of such events, as
`(data, attributes)`. All of them become the same conversion, but for what a source has no place for.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["FULL_SHAPES", "SHAPES", "Shape", "packed", "typed_params"]

Shape = Callable[[int], dict[str, Any]]

_MICROS: Final = 1_776_688_496_123_000  # 2026-04-20T12:34:56.123Z
_USER_AGENT: Final = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Safari/537.36"
)
_PAGE: Final = "https://shop.example/checkout/thanks"


def _email(number: int) -> str:
    return f"jane.doe.{number}@example.com"


def _click_id(number: int) -> str:
    return f"23opevjt88psuo13lu8d{number:06d}"


def _items(number: int) -> list[dict[str, Any]]:
    return [{"item_id": f"SKU-{number}", "item_name": "Walking boots", "price": 129.9, "quantity": 1}]


def x_sale(number: int) -> dict[str, Any]:
    """Return a sale in X's own format, with conveniences."""
    return {
        "event": "purchase",
        "order_id": f"order-{number}",
        "time": "2026-04-20T12:34:56.123Z",
        "twclid": _click_id(number),
        "email": _email(number),
        "ip_address": "203.0.113.7",
        "user_agent": _USER_AGENT,
        "value": 129.9,
        "currency": "EUR",
        "items": _items(number),
        "event_source_url": _PAGE,
    }


def event_data_sale(number: int) -> dict[str, Any]:
    """Return a server container's event data, as a tag's `getAllEventData()` gives it."""
    return {
        "x-ga-protocol_version": "2",
        "x-ga-measurement_id": "G-FBVKWPGDPE",
        "x-ga-gtm_version": "45je64g0v9137",
        "x-ga-page_id": 1_940_542_384,
        "x-ga-system_properties": {"c": "1", "gcd": "13r3r3r3r5l1"},
        "x-ga-gcs": "G111",
        "x-ga-request_count": 2,
        "client_id": "2024456455.1647778941",
        "ga_session_id": "1776688400",
        "ga_session_number": 18,
        "language": "en-gb",
        "screen_resolution": "1536x960",
        "page_location": f"{_PAGE}?order={number}&twclid={_click_id(number)}&utm_source=x",
        "page_referrer": "https://shop.example/checkout",
        "page_title": "Thank you",
        "event_name": "purchase",
        "timestamp_micros": _MICROS,
        "transaction_id": f"order-{number}",
        "value": 129.9,
        "currency": "EUR",
        "tax": 20.74,
        "shipping": 0,
        "items": _items(number),
        "user_data": {"email_address": _email(number), "address": {"country": "GB", "postal_code": "EC1A 1BB"}},
        "ip_override": "203.0.113.7",
        "user_agent": _USER_AGENT,
    }


def protocol_sale(number: int) -> dict[str, Any]:
    """Return a Measurement Protocol body of one event, as a shop's server sends it."""
    return {
        "client_id": "2024456455.1647778941",
        "user_id": f"customer-{number}",
        "timestamp_micros": str(_MICROS),
        "consent": {"ad_user_data": "GRANTED", "ad_personalization": "GRANTED"},
        "user_data": {"email_address": _email(number)},
        "ip_override": "203.0.113.7",
        "user_agent": _USER_AGENT,
        "events": [
            {
                "name": "purchase",
                "params": {
                    "transaction_id": f"order-{number}",
                    "value": 129.9,
                    "currency": "EUR",
                    "session_id": "1776688400",
                    "engagement_time_msec": 100,
                    "page_location": f"{_PAGE}?twclid={_click_id(number)}",
                    "items": _items(number),
                },
            }
        ],
    }


def typed_params(**params: str | float) -> list[dict[str, Any]]:
    """Write parameters as the export's `event_params`, with int64 as text and all other types null."""
    nothing = {"string_value": None, "int_value": None, "float_value": None, "double_value": None}
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    return [
        {"key": key, "value": {**nothing, kinds[type(value)]: str(value) if isinstance(value, int) else value}}
        for key, value in params.items()
    ]


def export_sale(number: int) -> dict[str, Any]:
    """Return a row of the BigQuery export, joined with what it lacks: an e-mail, an address, a user agent."""
    return {
        "event_date": "20260420",
        "event_timestamp": str(_MICROS),
        "event_name": "purchase",
        "event_params": typed_params(
            ga_session_id=1_776_688_400,
            ga_session_number=18,
            page_location=f"{_PAGE}?twclid={_click_id(number)}",
            page_title="Thank you",
            transaction_id=f"order-{number}",
            currency="EUR",
            value=129.9,
        ),
        "event_value_in_usd": 141.2,
        "user_id": None,
        "user_pseudo_id": "2024456455.1647778941",
        "privacy_info": {"analytics_storage": "Yes", "ads_storage": "Yes", "uses_transient_token": "No"},
        "user_properties": [],
        "device": {"category": "desktop", "is_limited_ad_tracking": "No", "language": "en-gb"},
        "geo": {"country": "United Kingdom", "city": "London"},
        "platform": "WEB",
        "ecommerce": {
            "total_item_quantity": "1",
            "purchase_revenue_in_usd": 141.2,
            "purchase_revenue": 129.9,
            "transaction_id": f"order-{number}",
        },
        "items": [{**item, "quantity": str(item["quantity"]), "price_in_usd": 141.2} for item in _items(number)],
        "user_data": {"email_address": _email(number)},
        "ip_address": "203.0.113.7",
        "user_agent": _USER_AGENT,
    }


def segment_sale(number: int) -> dict[str, Any]:
    """Return a Segment call, as analytics.js and Segment's servers have filled it in."""
    line = {"product_id": f"SKU-{number}", "name": "Walking boots", "price": 129.9, "quantity": 1}
    return {
        "anonymousId": "507f191e810c19729de860ea",
        "userId": f"customer-{number}",
        "type": "track",
        "event": "Order Completed",
        "messageId": f"ajs-f8ca1e4de5024d9430b3928bd8{number:06d}",
        "timestamp": "2026-04-20T12:34:56.123Z",
        "originalTimestamp": "2026-04-20T12:34:55.152Z",
        "sentAt": "2026-04-20T12:34:56.000Z",
        "receivedAt": "2026-04-20T12:34:56.971Z",
        "integrations": {"All": True},
        "properties": {
            "order_id": f"order-{number}",
            "total": 154.9,
            "revenue": 129.9,
            "shipping": 5,
            "tax": 20,
            "currency": "EUR",
            "products": [line],
        },
        "context": {
            "ip": "203.0.113.7",
            "userAgent": _USER_AGENT,
            "locale": "en-GB",
            "library": {"name": "analytics.js", "version": "2.11.1"},
            "page": {
                "path": "/checkout/thanks",
                "referrer": "https://shop.example/checkout",
                "search": f"?twclid={_click_id(number)}",
                "title": "Thank you",
                "url": f"{_PAGE}?twclid={_click_id(number)}",
            },
            "traits": {"email": _email(number)},
        },
    }


SHAPES: Final[Mapping[str, tuple[str, Shape]]] = {
    "X": ("x", x_sale),
    "event data": ("ga4", event_data_sale),
    "Measurement Protocol": ("ga4", protocol_sale),
    "BigQuery export": ("ga4", export_sale),
    "Segment": ("segment", segment_sale),
}


def _full(make: Shape, add: Callable[[dict[str, Any], str, dict[str, Any]], None]) -> Shape:
    """Return a shape with a phone number and a second product."""

    def sale(number: int) -> dict[str, Any]:
        event = make(number)
        line = {"item_id": f"SKU-{number}-2", "item_name": "Laces", "price": 4.5, "quantity": 2}
        add(event, f"+4479110{number % 100_000:05d}", line)
        return event

    return sale


def _add_to_x(event: dict[str, Any], phone: str, line: dict[str, Any]) -> None:
    event["phone"] = phone
    event["items"].append(line)


def _add_to_event_data(event: dict[str, Any], phone: str, line: dict[str, Any]) -> None:
    event["user_data"]["phone_number"] = phone
    event["items"].append(line)


def _add_to_call(event: dict[str, Any], phone: str, line: dict[str, Any]) -> None:
    event["context"]["traits"]["phone"] = phone
    event["properties"]["products"].append({"product_id": line["item_id"], **line})


# The same with all that a sale usually has: e-mail, phone number, click id, two products.
FULL_SHAPES: Final[Mapping[str, tuple[str, Shape]]] = {
    "X, full": ("x", _full(x_sale, _add_to_x)),
    "event data, full": ("ga4", _full(event_data_sale, _add_to_event_data)),
    "Segment, full": ("segment", _full(segment_sale, _add_to_call)),
}


def packed(shape: str, count: int) -> tuple[bytes, dict[str, str]]:
    """Return a message of `count` sales: its data and its attributes."""
    format_, make = {**SHAPES, **FULL_SHAPES}[shape]
    data = [json.dumps(make(number), separators=(",", ":")) for number in range(count)]
    return f"[{','.join(data)}]".encode(), {"format": format_}
