"""One message, all kinds of events: what is sent, what is dead-lettered, what is skipped, and what the log says."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.fakes import FakeX, failed, ok
from tests.handling import (
    ACK,
    OTHER_PIXEL,
    PIXEL,
    HandlerRig,
    event,
    logged,
    message,
    refusing,
    summary,
)
from xcapi_core.deliveries import intake
from xcapi_core.deliveries.admission import MOST_OPEN
from xcapi_core.deliveries.delivery import Answer
from xcapi_core.deliveries.intake import EVENTS_A_TURN, Intake
from xcapi_core.events.reading import EventReadings, ReadEvent
from xcapi_core.settings import RateSettings
from xcapi_core.x_api.batcher import Batcher
from xcapi_core.x_api.credentials import Credentials
from xcapi_core.x_api.protocol import HttpRequest, HttpResponse, TransportFailure
from xcapi_core.x_api.queue import Waiting

# --- one message, all kinds of events ---


async def test_lone_event_is_delivered_acked_and_remembered() -> None:
    rig = HandlerRig()
    assert await rig.handle(event("c1")) == ACK
    assert rig.sent == ["c1"]
    assert rig.has("c1")


async def test_each_event_of_a_message_ends_where_it_should(capfd: pytest.CaptureFixture[str]) -> None:
    rig = HandlerRig(FakeX(refusing("bad")), max_event_age_hours=24)
    answer = await rig.handle(
        event("c1"),
        event("bad"),
        event("c2", event_id=None),
        event("c3", conversion_time="2026-04-01T00:00:00Z"),
        event("c4", consent=False),
        "no event",
        event("c5"),
    )
    assert answer == ACK
    assert set(rig.sent) == {"c1", "bad", "c5"}
    assert Counter(rig.reasons) == {"rejected": 1, "invalid_event": 2, "expired": 1}
    by_index = {dead_letter.attributes["xcapi_event_index"]: dead_letter for dead_letter in rig.dead_letters.messages}
    assert sorted(by_index) == ["1", "2", "3", "5"]
    assert by_index["1"].attributes["xcapi_error_message"] == "conversion_id (bad) is no good"
    assert by_index["1"].attributes["xcapi_conversion_id"] == "bad"
    assert by_index["5"].data == b'"no event"'
    line = summary(capfd)
    counts = ("delivered", "rejected", "invalid_event", "expired", "skipped_no_consent")
    assert [line[name] for name in counts] == [2, 1, 2, 1, 1]
    assert [rig.has(name) for name in ("c1", "c5", "bad")] == [True, True, False]


async def test_what_is_invalid_or_too_old_can_be_found_by_its_id(capfd: pytest.CaptureFixture[str]) -> None:
    rig = HandlerRig(max_event_age_hours=24)
    await rig.handle(
        event("c1", event_id=None),
        event("c2", conversion_time="2026-04-01T00:00:00Z"),
        event("jane@example.com", value="much"),
        {**event("c4", value="much"), "conversion_id": None},
    )
    attributes = [dead_letter.attributes for dead_letter in rig.dead_letters.messages]
    ids = {one["xcapi_event_index"]: one.get("xcapi_conversion_id") for one in attributes}
    assert ids == {"0": "c1", "1": "c2", "2": "jane@example.com", "3": None}
    named = {line["event_index"]: line for line in logged(capfd) if line["event"] in ("event.invalid", "event.expired")}
    digests = [hashlib.sha256(f"{PIXEL}|{one}".encode()).hexdigest()[:16] for one in ("c1", "c2")]
    assert [named[index].get("conversion_digests") for index in range(4)] == [[digests[0]], [digests[1]], None, None]
    assert "jane" not in json.dumps(list(named.values()))


async def test_dead_letter_holds_its_event_byte_for_byte() -> None:
    rig = HandlerRig()
    data = b'[ {"event_id" : "tw-o8z6j-o8z21", "value":1.10 } ,{"a":1,"a":2}]'
    assert await rig.handler.handle(message(data=data)) == ACK
    dead_letters = [b'{"event_id" : "tw-o8z6j-o8z21", "value":1.10 }', b'{"a":1,"a":2}']
    assert [dead_letter.data for dead_letter in rig.dead_letters.messages] == dead_letters


async def test_event_without_consent_leaves_no_dead_letter_however_invalid_it_is() -> None:
    rig = HandlerRig()
    assert await rig.handle({"consent": "denied", "email": "jane@example.com"}) == ACK
    assert (rig.dead_letters.requests, rig.x.requests) == (0, [])


@pytest.mark.parametrize("data", [b"[]", b'{"events":[]}', b'{"conversions": [ ]}'])
async def test_message_of_no_events_is_acked(data: bytes) -> None:
    rig = HandlerRig()
    assert await rig.handler.handle(message(data=data)) == ACK
    assert (rig.dead_letters.requests, rig.x.requests) == (0, [])


@pytest.mark.parametrize("data", [b"", b"no JSON", b"17", b'{"events": [', b"\xff\xfe", b"[" * 100_000])
async def test_unreadable_message_is_one_dead_letter_as_it_came(data: bytes) -> None:
    rig = HandlerRig()
    assert await rig.handler.handle(message(data=data, attributes={"origin": "shop"})) == ACK
    (dead_letter,) = rig.dead_letters.messages
    assert dead_letter.data == data
    assert dead_letter.attributes["xcapi_reason"] == "invalid_message"
    assert dead_letter.attributes["origin"] == "shop"
    assert "xcapi_event_index" not in dead_letter.attributes


async def test_conversion_that_x_did_not_confirm_is_dead_lettered_and_not_remembered_as_delivered() -> None:
    rig = HandlerRig(FakeX(lambda conversions: ok(len(conversions) - 1)))
    assert await rig.handle(event("c1"), event("c2")) == ACK
    assert rig.reasons == ["unconfirmed", "unconfirmed"]
    assert not rig.has("c1")


async def test_events_of_several_pixels_go_out_in_requests_of_their_own() -> None:
    urls: list[str] = []

    class RecordingX(FakeX):
        async def post(
            self, request: HttpRequest, credentials: Credentials, timeout_s: float
        ) -> HttpResponse | TransportFailure:
            urls.append(request.url.rpartition("/")[2])
            return await super().post(request, credentials, timeout_s)

    rig = HandlerRig(RecordingX())
    ours, theirs = event("c1"), event("c2", pixel_id=OTHER_PIXEL)
    assert await rig.handle(ours, theirs, event("c3"), event("c4", pixel_id=OTHER_PIXEL)) == ACK
    assert dict(zip(urls, rig.x.requests, strict=True)) == {PIXEL: ["c1", "c3"], OTHER_PIXEL: ["c2", "c4"]}


async def test_attribute_names_the_pixel_of_events_that_name_none() -> None:
    rig = HandlerRig()
    bare = {"event": "purchase", "conversion_id": "c1", "twclid": "t"}
    assert await rig.handler.handle(message(bare, attributes={"pixel_id": OTHER_PIXEL})) == ACK
    assert rig.has("c1", OTHER_PIXEL)


async def test_one_pixel_s_pause_does_not_hold_up_the_other() -> None:
    limited = failed(429, retry_after="3600")
    rig = HandlerRig(FakeX(lambda items: limited if OTHER_PIXEL in str(items) else ok(len(items))))
    assert await rig.handler.handle(message(event("b1", pixel_id=OTHER_PIXEL), message_id="b")) == Answer(
        429, "rate_limited"
    )
    assert await rig.handler.handle(message(event("a1"), message_id="a")) == ACK
    assert await rig.handler.handle(message(event("b2", pixel_id=OTHER_PIXEL), message_id="c")) == Answer(
        429, "rate_limited"
    )
    assert rig.sent == ["b1", "a1"], "no request was sent during the pause"


async def test_of_two_reasons_to_nack_the_graver_is_the_answer() -> None:
    rig = HandlerRig()
    rig.x.handler = lambda conversions: failed(503 if OTHER_PIXEL in str(conversions) else 429)
    assert await rig.handle(event("a"), event("b", pixel_id=OTHER_PIXEL)) == Answer(503, "x_unavailable")


async def test_spent_budget_defers_what_is_beyond_it() -> None:
    rig = HandlerRig(rate=RateSettings(events=2, window_s=900))
    assert await rig.handle(event("c1"), event("c2"), event("c3")) == Answer(429, "rate_budget_spent")
    assert rig.sent == ["c1", "c2"]


async def test_500_kinds_of_rubbish_sink_no_good_event() -> None:
    rig = HandlerRig()
    rubbish = [
        b"nul",
        b"1e999999",
        b'{"a":NaN}',
        b'"\\ud800"',
        b"{}",
        b"[[]]",
        b"-",
        b'{"event_id":{}}',
        b"1" * 5000,
        b"\xff",
    ]
    good = [json.dumps(event(f"c{number}")).encode() for number in range(500)]
    data = b"[" + b",".join(one for pair in zip(rubbish * 50, good, strict=True) for one in pair) + b"]"
    assert await rig.handler.handle(message(data=data)) == ACK
    assert rig.sent == [f"c{number}" for number in range(500)]
    assert Counter(rig.reasons) == {"invalid_event": 500}


# --- dry run ---


async def test_dry_run_acks_and_sends_nothing_and_forgets(capfd: pytest.CaptureFixture[str]) -> None:
    rig = HandlerRig(dry_run=True)
    for _ in range(2):
        assert await rig.handle(event("c1"), event("c2"), event("c3", consent=False)) == ACK
        line = summary(capfd)
        assert line["skipped_dry_run"] == 2
        assert line["skipped_no_consent"] == 1
        assert line["dry_run"] == "conversions are being discarded"
        assert line["severity"] == "WARNING"
    assert rig.x.requests == []
    assert rig.secrets.reads == 0
    assert not rig.has("c1")


async def test_dry_run_dead_letters_what_is_invalid() -> None:
    rig = HandlerRig(dry_run=True)
    assert await rig.handle(event("c1"), "rubbish") == ACK
    assert rig.reasons == ["invalid_event"]


PERSONAL = {
    "email": "jane.doe@example.com",
    "phone": "+442079460018",
    "twclid": "23opevjt88psuo13lu8d020qkn",
    "ip_address": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (Jane's telephone)",
    "conversion_id": "order-of-jane-doe",
    "description": "boots for Jane Doe",
    "search_string": "jane doe boots",
    "event_source_url": "https://shop.example/jane-doe?mail=jane.doe@example.com",
}
DIGESTS = [hashlib.sha256(PERSONAL[name].encode()).hexdigest() for name in ("email", "phone")]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 503])
async def test_nothing_personal_is_logged_whatever_becomes_of_an_event(
    dry_run: bool,  # noqa: FBT001 - a table's column
    status: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = "; ".join(f"{name} ({value}) is no good" for name, value in PERSONAL.items())

    def quoting(conversions: list[dict[str, object]]) -> HttpResponse:
        error = {"code": words, "message": words, "parameter": words}
        return ok(len(conversions)) if status == 200 else failed(status, error)

    rig = HandlerRig(FakeX(quoting), dry_run=dry_run, max_event_age_hours=24)
    personal = {**event("x"), **PERSONAL}
    await rig.handle(
        personal,
        {**personal, "value": "jane.doe@example.com"},
        {**personal, "event_id": "jane.doe@example.com", "event_name": "jane.doe@example.com"},
        {**personal, "conversion_time": "2020-01-01T00:00:00Z"},
        {**personal, "pixel_id": "jane.doe@example.com"},
        {**personal, "consent": "jane.doe@example.com"},
        "jane.doe@example.com",
    )
    shown = capfd.readouterr().out
    assert len(shown.splitlines()) > 3
    assert not [value for value in (*PERSONAL.values(), *DIGESTS) if value in shown]
    assert "jane" not in shown.lower()


# --- large messages ---


@pytest.mark.parametrize("dry_run", [True, False])
async def test_others_are_served_while_a_message_of_20_000_events_is_read(dry_run: bool) -> None:  # noqa: FBT001 - a table's column
    rig = HandlerRig(dry_run=dry_run)
    handling = asyncio.create_task(rig.handle(*(event(f"c{number}") for number in range(20_000))))
    turns = 0
    while not handling.done():
        await asyncio.sleep(0)
        turns += 1
    assert await handling == ACK
    assert turns >= 20_000 // EVENTS_A_TURN
    assert len(rig.sent) == (0 if dry_run else 20_000)


async def test_events_of_a_large_message_leave_in_full_requests() -> None:
    rig = HandlerRig(FakeX(latency_s=0.02))
    assert await rig.handle(*(event(f"c{number}") for number in range(5_000))) == ACK
    assert sorted(rig.sent) == sorted(f"c{number}" for number in range(5_000))
    # The first leaves at once with what has been read by then; the rest fills requests.
    assert len(rig.x.requests) <= 5_000 // 500 + 5


async def test_thousands_of_bad_events_share_dead_letters_and_lines(capfd: pytest.CaptureFixture[str]) -> None:
    rig = HandlerRig()
    assert await rig.handle(*("rubbish" for _ in range(3_000))) == ACK
    assert sum(int(dead_letter.attributes["xcapi_event_count"]) for dead_letter in rig.dead_letters.messages) == 3_000
    assert len(rig.dead_letters.messages) == 1
    lines = logged(capfd)
    assert len(lines) < 50
    assert [line["invalid_event"] for line in lines if line["event"] == "delivery.settled"] == [3_000]
    # That dead letter, too, is remembered for each of its events.
    assert await rig.handle(*("rubbish" for _ in range(3_000))) == ACK
    assert len(rig.dead_letters.messages) == 1


async def test_delivery_that_crashed_leaves_the_way_free_for_its_redelivery(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("xcapi_core.deliveries.publications.compose_dead_letters", broken)
    rig = HandlerRig()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await rig.handle("rubbish")
    assert await rig.handler.handle(message(event("c1"), message_id="2")) == ACK


async def test_deliveries_that_one_request_settles_share_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    rig = HandlerRig(FakeX(latency_s=0.02))
    handling = [rig.handler.handle(message(event(f"c{number}"), message_id=f"{number}")) for number in range(20)]
    assert set(await asyncio.gather(*handling)) == {ACK}
    assert await rig.handler.handle(message(event("alone"), message_id="21")) == ACK
    await asyncio.sleep(0)
    lines = [line for line in logged(capfd) if line["event"] == "delivery.settled"]
    assert [(line.get("deliveries"), line["delivered"], line.get("message_id")) for line in lines] == [
        (20, 20, None),
        (None, 1, "21"),
    ]


async def test_a_delivery_that_did_not_go_smoothly_has_its_own_line(capfd: pytest.CaptureFixture[str]) -> None:
    rig = HandlerRig(FakeX(latency_s=0.02))
    messages = [message(event("c1"), message_id="1"), message(event("c2"), event("c3", consent=False), message_id="2")]
    await asyncio.gather(*(rig.handler.handle(each) for each in [*messages, message(event("c4"), message_id="3")]))
    await asyncio.sleep(0)
    lines = [line for line in logged(capfd) if line["event"] == "delivery.settled"]
    assert sorted((line.get("message_id", ""), line["delivered"]) for line in lines) == [("", 2), ("2", 1)]


@pytest.mark.parametrize("limit", [MOST_OPEN, 1_000])
async def test_a_large_message_is_read_on_only_while_its_conversions_leave(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_OPEN", limit)
    rig = HandlerRig(FakeX(latency_s=0.01))
    most_open = 0
    submit = Batcher.submit

    def counting(batcher: Batcher, conversions: Sequence[Waiting]) -> None:
        nonlocal most_open
        most_open = max(most_open, len(batcher._open) + len(conversions))
        submit(batcher, conversions)

    monkeypatch.setattr(Batcher, "submit", counting)
    assert await rig.handle(*(event(f"c{number}") for number in range(10_000))) == ACK
    assert len(rig.sent) == 10_000
    in_flight = rig.settings.batch.max_conversions * rig.settings.batch.max_in_flight
    assert most_open <= min(intake.OPEN_REQUESTS_AHEAD * in_flight, limit) + EVENTS_A_TURN


async def test_conversions_of_one_message_for_several_pixels_leave_in_full_batches() -> None:
    rig = HandlerRig(FakeX())
    events = [event(f"c{number}", pixel_id=(PIXEL, OTHER_PIXEL)[number % 2]) for number in range(2_200)]
    assert await rig.handle(*events) == ACK
    assert sorted(map(len, rig.x.requests)) == [100, 100, 500, 500, 500, 500]


async def test_a_conversion_waits_for_others_of_its_message_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "GATHER_S", -1.0)
    rig = HandlerRig(FakeX())
    events = [event(f"c{number}", pixel_id=(PIXEL, OTHER_PIXEL)[number % 2]) for number in range(1_000)]
    assert await rig.handle(*events) == ACK
    assert sorted(map(len, rig.x.requests)) == [250] * 4


async def test_the_more_pixels_a_message_is_for_the_more_of_it_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "OPEN_REQUESTS_AHEAD", 0.2)  # 400 of each pixel; a portion is 500
    rig = HandlerRig(FakeX(latency_s=0.01))
    events = [event(f"c{number}", pixel_id=(PIXEL, OTHER_PIXEL)[number % 2]) for number in range(1_000)]
    assert await rig.handle(*events) == ACK
    assert sorted(map(len, rig.x.requests)) == [500, 500]


async def test_a_message_for_many_pixels_fills_the_batches_of_each() -> None:
    rig = HandlerRig(FakeX(latency_s=0.01))
    events = [event(f"c{number}", pixel_id=(PIXEL, OTHER_PIXEL)[number % 2]) for number in range(900)]
    assert await rig.handle(*events) == ACK
    assert sorted(map(len, rig.x.requests)) == [450, 450]


async def test_large_messages_take_turns_at_being_read() -> None:
    """A server accepts one connection a turn of the loop: a turn must not hold a portion of every open message."""
    rig = HandlerRig(dry_run=True)
    messages = [message(*(event(f"{n}-{i}") for i in range(2_000)), message_id=str(n)) for n in range(5)]
    portions = 0
    most_a_turn = 0
    read_some = Intake.read_some

    def counting(intake: Intake, readings: EventReadings) -> list[ReadEvent | int]:
        nonlocal portions
        portions += 1
        return read_some(intake, readings)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Intake, "read_some", counting)
        handling = asyncio.gather(*(rig.handler.handle(each) for each in messages))
        while not handling.done():
            before = portions
            await asyncio.sleep(0)
            most_a_turn = max(most_a_turn, portions - before)
        assert set(await handling) == {ACK}
    assert portions >= 5 * 4
    assert most_a_turn == 1


async def test_who_refuses_around_two_arrays_is_not_kept() -> None:
    rig = HandlerRig()
    data = b'{"opt_out": true, "events": [{"event": "purchase"}], "conversions": []}'
    assert await rig.handler.handle(message(data=data)) == ACK
    assert (rig.sent, rig.reasons) == ([], [])


async def test_a_dry_run_shows_a_few_conversions_of_a_large_message(capfd: pytest.CaptureFixture[str]) -> None:
    rig = HandlerRig(dry_run=True)
    assert await rig.handle(*(event(f"c{number}") for number in range(1_200))) == ACK
    lines = [line for line in logged(capfd) if line["event"] == "conversion.discarded"]
    assert [(line["number"], line["of"]) for line in lines] == [(number, 1_200) for number in range(1, 6)]
