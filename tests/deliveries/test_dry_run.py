"""What a dry run shows of what it discards: facts about the sale, nothing that identifies anybody."""

import json
from typing import Any

import pytest

from tests.fakes import conversion
from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.summaries import MAX_SHOWN, log_discarded

IDENTIFYING = {
    "twclid": "23opevjt88psuo13lu8d020qkn",
    "hashed_email": "e586883b2b4faf78d48300a79e0e15138d664cdf796ffb86e533170a9893eda8",
    "hashed_phone_number": "1fa6b8d986d9b9cd01bf36951815158bbde9f520c0567c835dfe34783d0a4231",
    "ip_address": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (X11)",
}
TEXTS: dict[str, Any] = {
    "description": "for Jane Doe",
    "search_string": "jane doe oslo",
    "event_source_url": "https://shop.example/jane",
    "contents": [{"content_id": "jane-1", "content_name": "Jane's boots"}],
}


def shown(capfd: pytest.CaptureFixture[str], *conversions: Conversion) -> list[dict[str, object]]:
    log_discarded(conversions, of=len(conversions))
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_line_says_what_would_have_been_sent_and_that_it_was_discarded(capfd: pytest.CaptureFixture[str]) -> None:
    sale = conversion(
        "10001",
        event_tag="tw-o8z6j-o8z21",
        conversion_time="2026-04-20T12:34:56.000Z",
        value="129.90",
        price_currency="EUR",
        number_items=2,
        identifiers=[IDENTIFYING],
    )
    (line,) = shown(capfd, sale)
    assert (line["severity"], line["event"]) == ("WARNING", "conversion.discarded")
    assert line["dry_run"] == "conversions are being discarded"
    assert line["pixel_id"] == "o8z6j"
    assert line["event_id"] == "tw-o8z6j-o8z21"
    assert line["conversion_time"] == "2026-04-20T12:34:56.000Z"
    assert (line["value"], line["price_currency"], line["number_items"]) == ("129.90", "EUR", "2")


def test_identifiers_are_shown_by_kind_alone(capfd: pytest.CaptureFixture[str]) -> None:
    first = {name: value for name, value in IDENTIFYING.items() if name != "twclid"}
    (line,) = shown(capfd, conversion("1", identifiers=[first, {"twclid": IDENTIFYING["twclid"]}]))
    assert "hashed_email, hashed_phone_number, ip_address, twclid, user_agent" in json.dumps(line)


def test_nothing_that_identifies_and_no_free_text_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    lines = json.dumps(shown(capfd, conversion("jane-10001", identifiers=[IDENTIFYING], **TEXTS)))
    assert not [value for value in IDENTIFYING.values() if value in lines]
    assert "jane" not in lines.lower()
    assert "description" in lines, "that there is one is shown"


@pytest.mark.parametrize(
    "event_tag",
    ["jane.doe@example.com", "+44 20 7946 0018", "442079460018", "203.0.113.7", *IDENTIFYING.values(), "Jane Doe"],
)
def test_event_tag_that_can_be_none_of_x_s_is_not_shown(event_tag: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert event_tag not in json.dumps(shown(capfd, conversion("1", event_tag=event_tag)))


@pytest.mark.parametrize("event_tag", ["o8z21", "tw-o8z6j-o8z21", "TW-O8Z6J-O8Z21"])
def test_event_tag_of_either_form_is_shown(event_tag: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert shown(capfd, conversion("1", event_tag=event_tag))[0]["event_id"] == event_tag


def test_the_first_few_of_a_message_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert len(shown(capfd, *(conversion(str(number)) for number in range(1000)))) == MAX_SHOWN


def test_conversion_of_hardly_anything_is_shown_too(capfd: pytest.CaptureFixture[str]) -> None:
    bare = Conversion(pixel_id="o8z6j", event_tag="", conversion_id="", wire=b"{}")
    assert len(shown(capfd, bare)) == 1


def test_a_value_that_may_be_a_telephone_number_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    sales = [conversion("1", value=value, price_currency="JPY") for value in ("9999999.00", "442079460947.00")]
    assert [line["value"] for line in shown(capfd, *sales)] == ["9999999.00", "(more than 7 digits)"]
