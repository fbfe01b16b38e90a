"""What validate says beside an event's end: fields that nothing reads, warnings, every problem, match quality."""

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from xcapi_core.cli.files import Chunk
from xcapi_core.cli.validate.output import verdict_as_json
from xcapi_core.cli.validate.tally import Tally
from xcapi_core.cli.validate.unread import in_words, worth_a_look
from xcapi_core.cli.validate.verdicts import Verdict, judge
from xcapi_core.settings import PixelSettings, Settings

_SETTINGS = Settings(
    dead_letter_topic="file:/dev/null",
    pixels={"o8z6j": PixelSettings(pixel_id="o8z6j", credentials="env:KEYS", event_ids={"purchase": "tw-o8z6j-o8z21"})},
)
_SALE = {"event": "purchase", "email": "jane@example.com"}


def _judged(event: dict[str, Any]) -> Verdict:
    chunk = Chunk(line=1, data=json.dumps(event).encode())
    (verdict,) = judge(chunk, "events.json", _SETTINGS, {}, datetime(2026, 4, 20, 12, tzinfo=UTC))
    return verdict


@pytest.mark.parametrize(
    ("event", "unread"),
    [
        ({**_SALE, "emial": "x"}, [("emial", "email")]),
        ({**_SALE, "orderID": "x"}, [("orderID", "order_id")]),
        ({**_SALE, "amount": 5}, [("amount", "value")]),
        ({**_SALE, "user": {"e_mail": "x"}}, [("user.e_mail", "email")]),
        ({**_SALE, "favourite_colour": "red"}, [("favourite_colour", None)]),
        ({**_SALE, "optOut": False, "consent": {"ad_storage": "granted"}}, []),
        (
            {**_SALE, "items": [{"sku": "A1", "prise": 5, "colour": "red"}]},
            [("items[0].prise", "price"), ("items[0].colour", None)],
        ),
        (
            {"event_name": "purchase", "client_id": "1", "user_data": {"email": "jane@example.com"}, "session_id": 1},
            [("session_id", None)],
        ),
        (
            {"name": "purchase", "params": {"items": [{"item_idd": "A1"}]}, "user_data": {"email": "jane@example.com"}},
            [("params.items[0].item_idd", "item_id")],
        ),
        (
            {"name": "purchase", "params": {"transaction_idd": "1"}, "user_data": {"email": "jane@example.com"}},
            [("params.transaction_idd", "transaction_id")],
        ),
        (
            {
                "type": "track",
                "event": "Order Completed",
                "properties": {"revenu": 1},
                "traits": {"email": "a@b.example"},
            },
            [("properties.revenu", "revenue")],
        ),
    ],
)
def test_fields_that_nothing_reads_are_named_with_what_was_meant(
    event: dict[str, Any], unread: list[tuple[str, str | None]]
) -> None:
    assert list(_judged(event).unread) == unread


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(json.dumps({**_SALE, "emial": 1}).encode(), mtime=0),
        json.dumps(json.dumps({**_SALE, "emial": 1})).encode(),
        json.dumps([json.dumps({**_SALE, "emial": 1})]).encode(),
        json.dumps({"com.example.Sale": {**_SALE, "emial": {"long": 1}}}).encode(),
    ],
    ids=["gzip", "JSON text", "JSON text in an array", "a union"],
)
def test_fields_that_nothing_reads_are_named_in_a_packed_event(data: bytes) -> None:
    attributes = {"googclient_schemaencoding": "JSON"}
    (verdict,) = judge(Chunk(line=1, data=data), "e.json", _SETTINGS, attributes, datetime(2026, 4, 20, tzinfo=UTC))
    assert verdict.end == "conversion"
    assert verdict.unread == (("emial", "email"),)


def test_of_a_stream_s_own_fields_people_see_the_slips() -> None:
    event = {"event_name": "purchase", "client_id": "1", "user_data": {"emial": "jane@example.com"}, "session_id": 1}
    verdict = _judged(event)
    assert in_words(worth_a_look(verdict.unread, verdict.format)) == "user_data.emial (did you mean email?)"
    assert verdict_as_json(verdict)["unread"] == [
        {"field": "session_id", "did_you_mean": None},
        {"field": "user_data.emial", "did_you_mean": "email"},
    ]


def test_a_field_s_name_that_may_be_personal_is_not_shown() -> None:
    assert _judged({**_SALE, "jane@example.com": 1}).unread == ()


def test_tags_and_amounts_that_x_may_take_otherwise_are_warned_about() -> None:
    assert not _judged(_SALE).warnings
    assert "none of the pixel's event_ids" in _judged({**_SALE, "event_id": "tw-o8z6j-other"}).warnings[0]
    both = {**_SALE, "value": 5, "value_micros": 6_000_000, "currency": "EUR"}
    assert "different amounts" in _judged(both).warnings[0]
    assert not _judged({**both, "value_micros": 5_000_000}).warnings


def test_all_problems_of_an_event_are_said_at_once() -> None:
    event = {"event": "other", "email": "jane", "time": "soon", "value": "much", "currency": "EURO"}
    verdict = _judged(event)
    assert verdict.end == "invalid"
    for path in ("event:", "time:", "identifiers:", "currency:", "value:"):
        assert path in verdict.detail
    assert verdict.why.startswith("event:")


def test_summary_has_the_share_of_each_identifier_and_of_derived_ids() -> None:
    tally = Tally()
    for event in (_SALE, {**_SALE, "order_id": "A1", "twclid": "c1"}):
        tally.add(_judged(event))
    shown = tally.as_json()
    assert shown["identifiers"] == {
        "twclid": 1,
        "hashed_email": 2,
        "hashed_phone_number": 0,
        "ip_address": 0,
        "user_agent": 0,
    }
    assert shown["derived_ids"] == 1
    assert "twclid 50%" in tally.match_quality()
    assert "derived conversion_id 50%" in tally.match_quality()


def test_script_gets_fields_and_warnings_as_lists() -> None:
    shown = verdict_as_json(_judged({**_SALE, "emial": "x", "event_id": "tw-o8z6j-other"}))
    assert shown["unread"] == [{"field": "emial", "did_you_mean": "email"}]
    assert shown["warnings"]
