"""The act in which events come as GA4, server-side GTM, the BigQuery export and Segment write them. Only data."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from xcapi_core.cli.demo.planned import Act, Delivered, ExpectedEnd, PlannedEvent, PlannedMessage, Skipped

__all__ = ["tell_of_sources"]

# Nobody's, as in the rest of the story.
_EMAIL: Final = "ada@example.com"
_PERSON: Final = {"email_address": _EMAIL}
_BROWSER: Final = {
    "ip_override": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0",
}
_SALE: Final = {"value": 129.9, "currency": "EUR"}
_ITEMS: Final = [{"item_id": "sku-1", "item_name": "Walking boots", "price": 129.9, "quantity": 1}]
_PAGE: Final = "https://shop.example/thanks?twclid=23opevjt88psuo13lu8d020qkn"

_UNWANTED: Final = Skipped("the pixel does not want such events")
_NOBODY: Final = Skipped("nothing to match by")


def tell_of_sources(happened_at: str, micros: int, pixel_id: str) -> Act:
    """Return the act: a body, event data, rows and a batch, none of which says what it is but by its shape."""
    sold = Delivered(pixel_id)
    bought = [
        {"name": "purchase", "params": {"transaction_id": f"ga4-{number}", "items": _ITEMS, **_SALE}}
        for number in (1, 2)
    ]
    body = {"client_id": "1.2", "timestamp_micros": str(micros), "user_data": _PERSON, **_BROWSER}
    seen = {"x-ga-protocol_version": "2", "page_location": _PAGE, **_BROWSER}
    gtm = [
        {**seen, "event_name": "purchase", "transaction_id": "gtm-1", "items": _ITEMS, "x-ga-gcs": "G111", **_SALE},
        {**seen, "event_name": "scroll", "percent_scrolled": 90},
    ]
    rows = [_row("bigquery-1", micros, {"user_data": _PERSON}), _row("bigquery-2", micros, {})]
    calls = [
        {
            "type": "track",
            "event": "Order Completed",
            "messageId": "ajs-1",
            "timestamp": happened_at,
            "properties": {"order_id": "segment-1", "revenue": 129.9, "currency": "EUR"},
            "context": {"traits": {"email": _EMAIL}, "page": {"url": _PAGE}},
        },
        {"type": "identify", "messageId": "ajs-2", "traits": {"email": _EMAIL}},
    ]
    return Act(
        title="As GA4, GTM, BigQuery, Segment have it",
        messages=(
            _message({**body, "events": bought}, bought, ("ga4-1", "ga4-2"), (sold, sold)),
            _message(gtm, gtm, ("gtm-1", ""), (sold, _UNWANTED)),
            _message(rows, rows, ("bigquery-1", ""), (sold, _NOBODY)),
            _message({"batch": calls, "sentAt": happened_at}, calls, ("segment-1", ""), (sold, _UNWANTED)),
        ),
    )


def _row(transaction_id: str, micros: int, joined: Mapping[str, object]) -> dict[str, Any]:
    """Return a row of the export, as an extract job writes it, with what a query has joined to it."""
    params = [
        {"key": "currency", "value": {"string_value": "EUR"}},
        {"key": "page_location", "value": {"string_value": "https://shop.example/thanks"}},
    ]
    return {
        "event_name": "purchase",
        "event_timestamp": str(micros),
        "event_params": params,
        "ecommerce": {"transaction_id": transaction_id, "purchase_revenue": 129.9},
        "items": _ITEMS,
        **joined,
    }


def _message(
    data: object,
    events: Sequence[Mapping[str, object]],
    conversion_ids: Sequence[str],
    ends: Sequence[ExpectedEnd],
) -> PlannedMessage:
    planned = [
        PlannedEvent(
            label=str(event.get("event_name") or event.get("name") or event.get("event") or event.get("type")),
            conversion_id=conversion_id,
            payload=json.dumps(event).encode(),
            expected=end,
        )
        for event, conversion_id, end in zip(events, conversion_ids, ends, strict=True)
    ]
    return PlannedMessage(data=json.dumps(data).encode(), events=tuple(planned))
