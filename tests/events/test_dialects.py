"""One event, told in every dialect, is one conversion; and no shape of any of them is more than its own event's end."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.samples import SHAPES, typed_params
from tests.events.sources import WIRE_FIELDS, event_source, read_alone
from xcapi_core.conversions import Conversion
from xcapi_core.events import read_event
from xcapi_core.events.consent import Consent, judge
from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import read_id, read_text
from xcapi_core.events.pages import click_id_of_query, click_id_of_url, page_url
from xcapi_core.events.tags import SYNONYMS, find_tag
from xcapi_core.outcomes import Expired, Invalid, Skipped
from xcapi_core.settings import PixelSettings, Settings

_SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={
        "o8z6j": PixelSettings(
            pixel_id="o8z6j",
            credentials="env:KEYS",
            event_ids={"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22", "site_visit": "tw-o8z6j-o8z2b"},
            consent_categories=("Advertising",),
        )
    },
)
_TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12).filter(
    lambda text: read_id(text) == read_text(text) == text
)
_AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=2).map(lambda amount: Decimal(str(amount)))


def _encoded(event: object) -> bytes:
    return json.dumps(event, default=float).encode()


def test_sample_sale_is_the_same_conversion_in_every_dialect() -> None:
    wires = set()
    for format_, make in SHAPES.values():
        reading = read_alone(_encoded(make(7)), format_, _SETTINGS, publish_time="2026-04-20T12:35:00+00:00")  # type: ignore[arg-type]  # a table's text
        assert isinstance(reading, Conversion)
        assert reading.dropped == ()
        wires.add(reading.wire)
    assert len(wires) == 1


@given(
    order=_TEXT,
    amount=_AMOUNTS,
    currency=st.sampled_from(["EUR", "usd", "Gbp"]),
    email=st.sampled_from(["jane@example.com", " JANE@Example.com "]),
    twclid=st.none() | st.from_regex(r"[a-z0-9]{5,26}", fullmatch=True),
    milliseconds=st.integers(1_600_000_000_000, 1_776_686_400_000),
    lines=st.lists(st.tuples(_TEXT, _TEXT, _AMOUNTS, st.integers(1, 99)), max_size=3),
    address=st.sampled_from(["203.0.113.7", "198.51.100.9"]),
)
@settings(max_examples=150)
def test_any_event_is_the_same_conversion_in_every_dialect(
    *,
    order: str,
    amount: Decimal,
    currency: str,
    email: str,
    twclid: str | None,
    milliseconds: int,
    lines: list[tuple[str, str, Decimal, int]],
    address: str,
) -> None:
    page = "https://shop.example/thanks?a=b" + (f"&twclid={twclid}" if twclid else "")
    goods = [{"item_id": i, "item_name": n, "price": str(p), "quantity": q} for i, n, p, q in lines]
    sale: dict[str, Any] = {"transaction_id": order, "value": str(amount), "currency": currency, "items": goods}
    user = {"email_address": email}
    who = {"ip_override": address, "user_agent": "M"}
    micros = milliseconds * 1000
    told: list[tuple[Any, dict[str, Any]]] = [
        (
            "x",
            {
                "event": "purchase",
                "time": milliseconds,
                "email": email,
                "twclid": twclid,
                "ip_address": address,
                "user_agent": "M",
                "event_source_url": "https://shop.example/thanks",
                **sale,
            },
        ),
        (
            "ga4",
            {
                "event_name": "purchase",
                "timestamp_micros": micros,
                "user_data": user,
                "page_location": page,
                **who,
                **sale,
            },
        ),
        (
            "ga4",
            {
                "timestamp_micros": str(micros),
                "user_data": user,
                **who,
                "events": [{"name": "ecommerce_purchase", "params": {"page_location": page, **sale}}],
            },
        ),
        (
            "ga4",
            {
                "event_name": "purchase",
                "event_timestamp": str(micros),
                "event_params": typed_params(page_location=page, transaction_id=order, currency=currency),
                "ecommerce": {"purchase_revenue": str(amount), "purchase_revenue_in_usd": 1.0, "transaction_id": order},
                "items": goods,
                "user_data": user,
                **who,
            },
        ),
        (
            "segment",
            {
                "type": "track",
                "event": "Order Completed",
                "messageId": "m",
                "timestamp": milliseconds,
                "properties": {
                    "order_id": order,
                    "revenue": str(amount),
                    "currency": currency,
                    "products": [{"sku": i, "name": n, "price": str(p), "quantity": q} for i, n, p, q in lines],
                },
                "context": {"ip": address, "userAgent": "M", "page": {"url": page}, "traits": {"email": email}},
            },
        ),
    ]
    readings = [read_alone(_encoded(event), format_, _SETTINGS) for format_, event in told]
    assert len({reading.wire for reading in readings if isinstance(reading, Conversion)}) == 1
    assert all(isinstance(reading, Conversion) for reading in readings)


# Paths into a typical event of each shape, at which anything may stand.
_KEYS = st.sampled_from(
    """
    event_name name events params event_params event_timestamp timestamp_micros user_data email_address phone_number
    sha256_email_address ip_override user_agent page_location twclid _twclid items item_id price quantity ecommerce
    transaction_id purchase_revenue value currency search_term consent consent_state x-ga-gcs privacy_info device
    is_limited_ad_tracking type event properties context traits batch integrations All messageId timestamp
    originalTimestamp revenue total products product_id sku query ip userAgent page url search campaign
    categoryPreferences consentManagement destinationPreferences key string_value int_value pixel_id request_ip
    """.split()  # noqa: SIM905 - as a list it takes a screen
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**300),
    st.decimals(),
    st.floats(),
    st.text(st.characters(), max_size=20),  # lone surrogates included
    st.sampled_from(["purchase", "Order Completed", "track", "page", "o8z6j", "a@example.com", "EUR", "Yes", "0"]),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def _replace(event: Any, choices: list[int], value: object) -> None:
    """Put a value at a place inside of an event that the choices lead to."""
    node = event
    for choice in choices:
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = keys[choice % len(keys)]
        child = node[key]
        if not isinstance(child, dict | list) or choice == choices[-1]:
            node[key] = value
            return
        node = child


@given(
    shape=st.sampled_from([name for name in SHAPES if name != "X"]),
    damage=st.lists(st.tuples(st.lists(st.integers(0, 40), min_size=1, max_size=5), _VALUES), min_size=1, max_size=3),
    more=st.dictionaries(_KEYS, _VALUES, max_size=3),
)
@settings(max_examples=400)
def test_damage_anywhere_ends_in_a_verdict_that_says_nothing_personal(
    shape: str, damage: list[tuple[list[int], object]], more: dict[str, object]
) -> None:
    format_, make = SHAPES[shape]
    event: Any = {**make(7), **more}
    for choices, value in damage:
        _replace(event, choices, value)
    reading = read_event(event, event_source(), _SETTINGS, format_)  # type: ignore[arg-type]  # a table's text
    assert isinstance(reading, Conversion | Invalid | Expired | Skipped)
    shown = str(reading)
    for personal in ("jane.doe", "203.0.113.7", "Mozilla", "23opevjt88", "order-7", "2024456455"):
        assert personal not in shown
    if isinstance(reading, Conversion):
        sent = msgspec.json.decode(reading.wire)
        assert sent.keys() <= set(WIRE_FIELDS)
        assert set(reading.dropped) <= {drop.value for drop in Drop}
        assert "?" not in sent.get("event_source_url", "")


@pytest.mark.parametrize("dialect", ["ga4", "segment"])
def test_synonyms_are_normalised_and_mean_keys_of_the_one_list(dialect: str) -> None:
    keys = """purchase add_to_cart add_to_wishlist checkout_initiated added_payment_info content_view search sign_up
    lead download site_visit subscribe start_trial""".split()  # noqa: SIM905 - as above
    for synonym, key in SYNONYMS[dialect].items():
        assert synonym == synonym.lower().replace(" ", "_")
        assert key in keys
        assert find_tag({key.title().replace("_", " "): "t"}, synonym.upper(), SYNONYMS[dialect]) == "t"
    assert not any("refund" in name or "cancel" in name for name in SYNONYMS[dialect])


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.example/A/?b#c?d", "HTTPS://Shop.example/A/"),
        ("http://shop.example:80#x", "http://shop.example:80"),
        ("https://a:b@shop.example/x", "https://shop.example/x"),
        ("https://shop.example/p@th", "https://shop.example/p@th"),
        ("ftp://shop.example/", None),
        ("https:///path", None),
        ("https://:443/", None),
        ("https://user@", None),
        ("//shop.example/", None),
        ("https://shop.example/a b", "https://shop.example/a%20b"),
        ("about:blank", None),
        ("", None),
    ],
)
def test_page_address_keeps_scheme_host_and_path(address: str, url: str | None) -> None:
    assert page_url(address) == url


@pytest.mark.parametrize(
    ("query", "click_id"),
    [
        ("?twclid=c1", "c1"),
        ("a=b&twclid=c1&c=d", "c1"),
        ("twclid=a%2Bb", "a+b"),
        ("xtwclid=c1", ""),
        ("twclid=", ""),
        ("twclid", ""),
        ("TWCLID=c1", ""),
        ("twclid=&twclid=c2", "c2"),
        (None, ""),
        (["twclid=c1"], ""),
    ],
)
def test_click_id_of_a_query(query: object, click_id: str) -> None:
    assert click_id_of_query(query) == click_id
    if isinstance(query, str):
        assert click_id_of_url(f"https://shop.example/?{query.removeprefix('?')}#twclid=no") == click_id


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"batch": [{"context": {"consent": False}}]}, "no"),
        ({"batch": [{"consent": True}], "context": {"opt_out": 1}}, "no"),
        ({"events": [{"params": {"ad_storage": "granted"}}]}, "yes"),
        ({"event_params": [{"key": "gcs", "value": {"string_value": "G100"}}]}, "no"),
        ({"event_params": [{"key": "consent", "value": {"string_value": None, "int_value": "1"}}]}, "yes"),
        ({"event_params": [{"key": "gpc", "value": True}]}, "no"),
        ({"event_params": {"opt_out": "true"}}, "no"),
        ({"event_params": [{"key": "consent", "value": {"string_value": None}}]}, "unsaid"),
        ({"event_params": [{"key": ["consent"]}, 5, None]}, "unsaid"),
        ({"device": {"is_limited_ad_tracking": "Yes"}}, "no"),
        ({"device": {"is_limited_ad_tracking": "No"}}, "unsaid"),
        ({"device": {"is_limited_ad_tracking": "<Other>"}}, "no"),
        ({"context": {"device": {"adTrackingEnabled": False}}}, "no"),
        ({"context": {"device": {"adTrackingEnabled": "false"}}}, "no"),
        ({"context": {"device": {"adTrackingEnabled": True}}}, "unsaid"),
    ],
)
def test_consent_stands_where_the_dialects_keep_it(event: object, says: str) -> None:
    assert judge(event, categories=()).says is Consent(says)
