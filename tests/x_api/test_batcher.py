"""Group commit: lone events leave at once, floods fill batches, and nobody sinks with a neighbour."""

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest

from tests.fakes import FakeSecrets, FakeX, Handler, Outcomes, conversion, failed, ok
from xcapi_core.conversions import Conversion
from xcapi_core.ledger import Ledger
from xcapi_core.outcomes import AlreadyDelivered, DeadLetterReason, Deferred, Delivered, Outcome, Rejected
from xcapi_core.service import build_batchers
from xcapi_core.settings import BatchSettings, PixelSettings, RateSettings, Settings
from xcapi_core.x_api.batcher import SUSPECT_BATCH
from xcapi_core.x_api.protocol import HttpResponse, TransportFailure
from xcapi_core.x_api.queue import Waiting

INVALID = {"code": "INVALID_PARAMETER", "message": "At least one user identifier must be provided", "parameter": ""}


class Rig:
    """A batcher with all that belongs to it, over a fake X."""

    def __init__(
        self,
        x: FakeX,
        secrets: FakeSecrets | None = None,
        *,
        clock: Callable[[], float] | None = None,
        **settings: object,
    ) -> None:
        self.x = x
        self.clock = clock or asyncio.get_running_loop().time
        self.secrets = secrets or FakeSecrets()
        pixel = PixelSettings(pixel_id="o8z6j", credentials="projects/p/secrets/s/versions/latest", event_ids={})
        self.settings = Settings(dead_letter_topic="file:x", pixels={"o8z6j": pixel}, **settings)  # type: ignore[arg-type]
        self.ledger = Ledger()
        batchers = build_batchers(
            self.settings, secrets=self.secrets, transport=x, ledger=self.ledger, clock=self.clock
        )
        self.batcher = batchers["o8z6j"]

    def submit(self, item: Conversion, within_s: float = 30.0, *, suspect: bool = False) -> "asyncio.Future[Outcome]":
        return self.submit_together([item], within_s, suspect=suspect)[0]

    def submit_together(
        self, items: Sequence[Conversion], within_s: float = 30.0, *, suspect: bool = False
    ) -> list["asyncio.Future[Outcome]"]:
        sender, latest_start = Outcomes(), self.clock() + within_s
        waiting = [Waiting(item, latest_start, sender, suspect) for item in items]
        outcomes = [sender.future_of(one) for one in waiting]
        self.batcher.submit(waiting)
        return outcomes

    async def outcomes(
        self, items: Sequence[Conversion], within_s: float = 30.0, *, suspect: bool = False
    ) -> list[Outcome]:
        return await asyncio.gather(*self.submit_together(items, within_s, suspect=suspect))


def numbered(count: int, start: int = 0) -> list[Conversion]:
    return [conversion(f"c{number}") for number in range(start, start + count)]


def refusing(bad: set[str], *, named: bool = False) -> Handler:
    def handler(conversions: list[dict[str, object]]) -> HttpResponse:
        errors = [
            {**INVALID, "message": f"conversion_id ({item['conversion_id']}) is no good"} if named else INVALID
            for item in conversions
            if item["conversion_id"] in bad
        ]
        return failed(400, *errors) if errors else ok(len(conversions))

    return handler


async def test_lone_event_is_sent_at_once() -> None:
    rig = Rig(FakeX())
    assert await rig.outcomes(numbered(1)) == [Delivered()]
    assert rig.x.sizes == [1]


async def test_events_of_one_turn_of_the_loop_share_a_request() -> None:
    rig = Rig(FakeX())
    assert await rig.outcomes(numbered(400)) == [Delivered()] * 400
    assert rig.x.sizes == [400]


async def test_what_arrives_while_a_request_is_in_flight_goes_out_together_when_it_returns() -> None:
    rig = Rig(FakeX(latency_s=0.05))
    first = rig.submit(conversion("first"))
    await asyncio.sleep(0.01)
    rest = [rig.submit(item) for item in numbered(124)]
    await asyncio.gather(first, *rest)
    assert rig.x.sizes == [1, 124]
    assert rig.x.most_open == 1


async def test_full_batches_open_further_requests_up_to_the_limit() -> None:
    rig = Rig(FakeX(latency_s=0.05), batch=BatchSettings(max_conversions=10, max_in_flight=3))
    assert await rig.outcomes(numbered(45)) == [Delivered()] * 45
    assert rig.x.most_open == 3
    assert rig.x.sizes == [10, 10, 10, 10, 5]


async def test_slow_request_does_not_hold_up_those_behind_it_for_ever() -> None:
    rig = Rig(FakeX(latency_s=1.5))
    rig.submit(conversion("slow"))
    await asyncio.sleep(0.05)
    rig.x.latency_s = 0.0
    started = asyncio.get_running_loop().time()
    assert await rig.submit(conversion("behind")) == Delivered()
    assert asyncio.get_running_loop().time() - started < 1.4, "it waited for the slow request"


async def test_only_the_refused_conversion_is_rejected_with_x_s_words() -> None:
    rig = Rig(FakeX(refusing({"c250"})))
    outcomes = await rig.outcomes(numbered(500))
    assert outcomes[250] == Rejected(
        reason=DeadLetterReason.REJECTED,
        http_status=400,
        error_code="INVALID_PARAMETER",
        error_message="At least one user identifier must be provided",
    )
    assert outcomes.count(Delivered()) == 499
    assert len(rig.x.requests) <= 12
    delivered = [name for request in rig.x.requests for name in request if "c250" not in request]
    assert len(delivered) == len(set(delivered)) == 499


async def test_named_conversion_costs_two_requests() -> None:
    rig = Rig(FakeX(refusing({"c7"}, named=True)))
    outcomes = await rig.outcomes(numbered(500))
    assert isinstance(outcomes[7], Rejected)
    assert rig.x.sizes == [500, 499]


@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        (failed(404, {"code": "ROUTE_NOT_FOUND", "message": "The requested resource could not be found"}), 1),
        (failed(404, {"code": "NOT_FOUND", "message": "User 1 does not have access to account 2"}), 2),
        (failed(400, {"code": "", "message": "Conversion count limit is 500"}), 1),
        (failed(415), 1),
        (failed(403, {"code": "UNAUTHORIZED_CLIENT_APPLICATION", "message": "no access"}), 2),
        (failed(401, {"code": "UNAUTHORIZED_ACCESS", "message": "no"}), 2),
    ],
)
async def test_what_no_conversion_causes_costs_one_or_two_requests(answer: HttpResponse, requests: int) -> None:
    rig = Rig(FakeX(lambda _: answer))
    outcomes = await rig.outcomes(numbered(500))
    assert all(isinstance(outcome, Rejected) and outcome.http_status == answer.status for outcome in outcomes)
    assert len(rig.x.requests) == requests


@pytest.mark.parametrize("status", [408, 423, 500, 502, 503])
async def test_transient_errors_defer_and_are_not_searched(status: int) -> None:
    rig = Rig(FakeX(lambda _: failed(status)))
    assert set(await rig.outcomes(numbered(20))) == {Deferred(nack_status=503, cause="x_unavailable")}
    assert len(rig.x.requests) == 1


async def test_wrong_count_is_unconfirmed_and_is_not_taken_for_delivered() -> None:
    rig = Rig(FakeX(lambda conversions: ok(len(conversions) - 1)))
    outcomes = await rig.outcomes(numbered(3))
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Rejected)} == {DeadLetterReason.UNCONFIRMED}
    assert not rig.ledger.has(rig.ledger.digest("o8z6j", "o8z21", "c0"), rig.clock())


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(status=200, headers={}, body=b"<html>hello</html>"),
        HttpResponse(status=200, headers={}, body=b"{}"),
        HttpResponse(status=200, headers={}, body=b"[" * 100_000),
        HttpResponse(status=302, headers={"location": "https://elsewhere.example"}, body=b""),
    ],
)
async def test_an_answer_that_is_not_x_s_defers(answer: HttpResponse) -> None:
    rig = Rig(FakeX(lambda _: answer))
    assert await rig.outcomes(numbered(1)) == [Deferred(nack_status=503, cause="not_from_x")]


async def test_429_pauses_the_pixel_and_those_who_can_wait_are_sent_after_it() -> None:
    answers: list[HttpResponse | TransportFailure] = [failed(429, retry_after="1")]
    rig = Rig(FakeX(lambda conversions: answers.pop() if answers else ok(len(conversions))))
    assert await rig.outcomes(numbered(1)) == [Deferred(nack_status=429, cause="rate_limited")]
    started = rig.clock()
    waiting = rig.outcomes(numbered(5, start=1), within_s=20)
    hurried = rig.outcomes(numbered(5, start=10), within_s=0.5)
    outcomes = await asyncio.gather(waiting, hurried)
    assert outcomes[0] == [Delivered()] * 5
    assert outcomes[1] == [Deferred(nack_status=429, cause="rate_limited")] * 5
    assert rig.clock() - started >= 0.95
    assert rig.x.sizes == [1, 5]


async def test_after_a_pause_a_single_request_asks_first() -> None:
    answers = [failed(429, retry_after="1")]
    rig = Rig(
        FakeX(lambda conversions: answers.pop() if answers else ok(len(conversions)), latency_s=0.05),
        batch=BatchSettings(max_conversions=5, max_in_flight=4),
    )
    await rig.outcomes(numbered(1))
    rig.x.most_open = 0
    first_after: list[int] = []

    def noting(conversions: list[dict[str, object]]) -> HttpResponse:
        first_after.append(rig.x.most_open)
        return ok(len(conversions))

    rig.x.handler = noting
    await rig.outcomes(numbered(20, start=1))
    assert first_after[0] == 1
    assert max(first_after) > 1


async def test_spent_budget_answers_at_once_those_who_could_not_be_sent_in_time() -> None:
    rig = Rig(FakeX(), rate=RateSettings(events=10, window_s=900))
    outcomes = await rig.outcomes(numbered(25))
    assert outcomes == [Delivered()] * 10 + [Deferred(nack_status=429, cause="rate_budget_spent")] * 15


async def test_duplicates_in_flight_are_sent_once() -> None:
    rig = Rig(FakeX(latency_s=0.02))
    same = conversion("order-1")
    assert await rig.outcomes([same, same, same]) == [Delivered(), AlreadyDelivered(), AlreadyDelivered()]
    assert rig.x.sizes == [1]


async def test_corrected_duplicate_of_a_refused_conversion_is_judged_for_itself() -> None:
    def handler(conversions: list[dict[str, object]]) -> HttpResponse:
        return failed(400, INVALID) if any("value" not in item for item in conversions) else ok(len(conversions))

    rig = Rig(FakeX(handler, latency_s=0.02))
    outcomes = await rig.outcomes([conversion("order-1"), conversion("order-1", value="1.00")])
    assert isinstance(outcomes[0], Rejected)
    assert outcomes[1] == Delivered()


async def test_stop_nacks_what_waits_and_lets_the_request_in_flight_finish() -> None:
    rig = Rig(FakeX(latency_s=0.1))
    first = rig.submit(conversion("in-flight"))
    await asyncio.sleep(0.02)
    waiting = rig.submit(conversion("waiting"))
    await asyncio.sleep(0.01)
    rig.batcher.stop()
    assert await asyncio.wait_for(waiting, 0.05) == Deferred(nack_status=503, cause="shutting_down")
    assert await first == Delivered()


async def test_stop_during_a_bisection_answers_those_who_are_not_in_its_running_trial() -> None:
    rig = Rig(FakeX(refusing({"c0"}), latency_s=0.1))
    outcomes = [rig.submit(item) for item in numbered(100)]
    await asyncio.sleep(0.15)
    assert rig.x.sizes == [100, 50]
    rig.batcher.stop()
    shutting_down = Deferred(nack_status=503, cause="shutting_down")
    assert {future.result() for future in outcomes if future.done()} == {shutting_down}
    assert [future.done() for future in outcomes] == [False] * 50 + [True] * 50
    unfinished = Deferred(nack_status=503, cause="bisection_unfinished", suspect=True)
    assert await asyncio.gather(*outcomes) == [unfinished] * 50 + [shutting_down] * 50
    assert rig.x.sizes == [100, 50]


async def test_stop_answers_those_who_wait_for_keys() -> None:
    secrets = FakeSecrets()
    secrets.released = asyncio.Event()
    rig = Rig(FakeX(), secrets)
    waiting = rig.submit(conversion("no-keys-yet"))
    await asyncio.sleep(0.01)
    rig.batcher.stop()
    assert await asyncio.wait_for(waiting, 0.05) == Deferred(nack_status=503, cause="shutting_down")
    secrets.released.set()
    await asyncio.sleep(0.02)
    assert rig.x.requests == []


async def test_no_request_starts_when_the_keys_came_too_late() -> None:
    secrets = FakeSecrets()
    secrets.released = asyncio.Event()
    rig = Rig(FakeX(), secrets)
    outcome = rig.submit(conversion("late"), within_s=0.05)
    assert await asyncio.wait_for(outcome, 1) == Deferred(nack_status=503, cause="credentials_unavailable")
    assert rig.x.requests == []


async def test_rotated_keys_are_read_after_a_refusal_and_the_batch_is_sent_again() -> None:
    secrets = FakeSecrets()
    rig = Rig(FakeX(), secrets)
    await rig.outcomes(numbered(1))
    old = rig.x.credentials[0]
    secrets.payload = b'{"pixel_token":"fresh"}'
    rig.x.handler = lambda conversions: failed(401) if rig.x.credentials[-1] is old else ok(len(conversions))
    assert await rig.outcomes(numbered(10, start=1)) == [Delivered()] * 10
    assert secrets.reads == 2


async def test_keys_refused_again_within_30_s_are_not_read_again() -> None:
    secrets = FakeSecrets()
    rig = Rig(FakeX(lambda _: failed(401)), secrets)
    await rig.outcomes(numbered(1))
    await rig.outcomes(numbered(1, start=1))
    assert secrets.reads == 2
    assert len(rig.x.requests) == 3


async def test_requeue_pauses_the_pixel_after_a_refusal_of_the_keys() -> None:
    rig = Rig(FakeX(lambda _: failed(403)), on_unauthorized="requeue")
    unauthorized = Deferred(nack_status=503, cause="unauthorized")
    assert await rig.outcomes(numbered(1)) == [unauthorized]
    assert await rig.outcomes(numbered(3, start=1), within_s=40) == [unauthorized] * 3
    assert len(rig.x.requests) == 2


async def test_refused_keys_while_secret_manager_is_down_defer() -> None:
    secrets = FakeSecrets()
    rig = Rig(FakeX(lambda _: failed(401)), secrets)
    rig.x.handler = lambda conversions: ok(len(conversions))
    await rig.outcomes(numbered(1))
    secrets.payload = None
    rig.x.handler = lambda _: failed(401)
    deferred = await rig.outcomes(numbered(1, start=1))
    assert deferred == [Deferred(nack_status=503, cause="credentials_unavailable")]


async def test_delivered_conversion_enters_the_ledger_even_when_nobody_waits_any_more() -> None:
    rig = Rig(FakeX(latency_s=0.05))
    item = conversion("given-up")
    future = rig.submit(item)
    await asyncio.sleep(0.01)
    future.cancel()
    await asyncio.sleep(0.1)
    assert rig.ledger.has(rig.ledger.digest("o8z6j", "o8z21", "given-up"), rig.clock())


async def test_large_conversions_fill_a_request_by_bytes_before_they_do_by_number() -> None:
    rig = Rig(FakeX())
    items = [conversion(f"c{number}", description="x" * 900_000) for number in range(5)]
    assert await rig.outcomes(items) == [Delivered()] * 5
    assert rig.x.sizes == [2, 2, 1]


async def test_suspects_go_out_beside_a_flood_of_fresh_ones() -> None:
    rig = Rig(FakeX(latency_s=0.01))
    flood = [rig.submit(item) for item in numbered(20_000, start=1000)]
    assert await rig.outcomes(numbered(20), suspect=True) == [Delivered()] * 20
    assert not all(future.done() for future in flood), "they did not wait for the flood's end"
    assert set(await asyncio.gather(*flood)) == {Delivered()}


async def test_neighbours_of_a_named_conversion_are_not_suspect_when_x_fails_then() -> None:
    """In batches of ten they would wait behind each other for minutes while X is unwell."""
    rig = Rig(FakeX(refusing({"c0"}, named=True)))
    refuse = rig.x.handler

    def refuse_then_fail(conversions: list[dict[str, object]]) -> HttpResponse | TransportFailure:
        return refuse(conversions) if len(rig.x.requests) == 1 else failed(503)

    rig.x.handler = refuse_then_fail
    first = await rig.outcomes(numbered(100))
    assert isinstance(first[0], Rejected)
    assert set(first[1:]) == {Deferred(nack_status=503, cause="x_unavailable")}


async def test_suspects_stay_suspect_until_x_has_judged_them() -> None:
    rig = Rig(FakeX(lambda _: failed(503)))
    deferred = Deferred(nack_status=503, cause="x_unavailable", suspect=True)
    assert await rig.outcomes(numbered(3), suspect=True) == [deferred] * 3


async def test_single_slot_is_shared_between_suspects_and_fresh_ones() -> None:
    rig = Rig(FakeX(), batch=BatchSettings(max_in_flight=1))
    await asyncio.gather(rig.outcomes(numbered(20), suspect=True), rig.outcomes(numbered(3000, start=1000)))
    assert rig.x.most_open == 1
    assert rig.x.sizes.count(SUSPECT_BATCH) == 2


async def test_outage_leaves_the_budget_for_the_time_after_it() -> None:
    rig = Rig(FakeX(lambda _: failed(503)), rate=RateSettings(events=10, window_s=900))
    for start in range(0, 100, 10):
        assert set(await rig.outcomes(numbered(10, start))) == {Deferred(nack_status=503, cause="x_unavailable")}
    rig.x.handler = lambda conversions: ok(len(conversions))
    assert await rig.outcomes(numbered(10)) == [Delivered()] * 10


async def test_timed_out_request_counts_since_x_may_have_counted_it() -> None:
    rig = Rig(
        FakeX(latency_s=0.1), rate=RateSettings(events=1, window_s=900), request_timeout_s=0.02, settle_timeout_s=1.0
    )
    assert await rig.outcomes(numbered(1)) == [Deferred(nack_status=503, cause="x_timeout")]
    assert await rig.outcomes(numbered(1)) == [Deferred(nack_status=429, cause="rate_budget_spent")]


@pytest.mark.parametrize(("kind", "left"), [("broken", 0), ("connection", 5)])
async def test_request_whose_connection_broke_counts_and_one_without_a_connection_does_not(
    kind: str, left: int
) -> None:
    rig = Rig(FakeX(lambda _: TransportFailure(kind)), rate=RateSettings(events=5, window_s=900))
    await rig.outcomes(numbered(5))
    rig.x.handler = lambda conversions: ok(len(conversions))
    assert (await rig.outcomes(numbered(5))).count(Delivered()) == left


async def test_crash_while_a_request_is_out_does_not_hold_its_events_for_ever() -> None:
    def crash(_: list[dict[str, object]]) -> HttpResponse:
        raise RuntimeError("a bug")

    rig = Rig(FakeX(crash), rate=RateSettings(events=5, window_s=0.2))
    await rig.outcomes(numbered(5))
    rig.x.handler = lambda conversions: ok(len(conversions))
    assert await rig.outcomes(numbered(5), within_s=5.0) == [Delivered()] * 5


async def test_requeue_pauses_the_pixel_also_when_secret_manager_cannot_be_asked() -> None:
    rig = Rig(FakeX(), on_unauthorized="requeue")
    await rig.outcomes(numbered(1))
    rig.secrets.payload = None
    rig.x.handler = lambda _: failed(401)
    for number in range(1, 6):
        await rig.outcomes(numbered(1, start=number))
    assert len(rig.x.requests) == 2


EVENT = {"code": "INVALID_PARAMETER", "message": "Something is wrong with request 4f3c2a10 of today", "parameter": ""}


async def test_after_20_lone_refusals_in_one_wording_the_pixel_pauses(capfd: pytest.CaptureFixture[str]) -> None:
    counter = iter(range(1_000))

    def refuse_everything(_: list[dict[str, object]]) -> HttpResponse:
        return failed(400, {**EVENT, "message": f"Something is wrong with request {next(counter)} of today"})

    rig = Rig(FakeX(refuse_everything))
    outcomes = [(await rig.outcomes(numbered(1, start)))[0] for start in range(20)]
    assert all(isinstance(outcome, Rejected) for outcome in outcomes)
    refuses_everything = Deferred(nack_status=503, cause="refuses_everything")
    assert await rig.outcomes(numbered(1, 20)) == [refuses_everything]
    assert await rig.outcomes(numbered(50, 100)) == [refuses_everything] * 50, "nobody waits a minute for nothing"
    assert len(rig.x.requests) == 21
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["event"] == "pixel.refuses_everything"]
    assert (line["severity"], line["pixel_id"], line["http_status"]) == ("ERROR", "o8z6j", 400)


async def test_a_backlog_that_x_refuses_in_one_wording_is_not_dead_lettered() -> None:
    rig = Rig(FakeX(lambda _: failed(400, INVALID)))
    outcomes = await rig.outcomes(numbered(500))
    assert sum(isinstance(outcome, Rejected) for outcome in outcomes) == 20
    assert all(isinstance(outcome, Rejected | Deferred) for outcome in outcomes)


async def test_an_acceptance_between_refusals_starts_the_count_afresh() -> None:
    rig = Rig(FakeX(refusing({f"c{number}" for number in range(50) if number % 10})))
    outcomes = [(await rig.outcomes(numbered(1, start)))[0] for start in range(50)]
    assert sum(isinstance(outcome, Rejected) for outcome in outcomes) == 45


async def test_refusals_that_quote_the_conversion_are_about_it_however_many_there_are() -> None:
    rig = Rig(FakeX(refusing({f"c{number}" for number in range(30)}, named=True)))
    outcomes = [(await rig.outcomes(numbered(1, start)))[0] for start in range(30)]
    assert all(isinstance(outcome, Rejected) for outcome in outcomes)


def _limit_bytes(most: int) -> Handler:
    def handler(conversions: list[dict[str, object]]) -> HttpResponse:
        return failed(413) if len(json.dumps(conversions)) > most else ok(len(conversions))

    return handler


async def test_413_halves_the_batch_and_what_worked_is_remembered() -> None:
    rig = Rig(FakeX(_limit_bytes(40_000)))
    described = [conversion(f"c{number}", description="x" * 900) for number in range(200)]
    assert await rig.outcomes(described[:100]) == [Delivered()] * 100
    assert rig.x.sizes == [100, 50, 25, 25, 25, 25]
    rig.x.requests.clear()
    assert await rig.outcomes(described[100:]) == [Delivered()] * 100
    assert max(rig.x.sizes) == 25


async def test_413_for_a_lone_conversion_rejects_a_large_one_and_defers_a_small_one() -> None:
    rig = Rig(FakeX(lambda _: failed(413)))
    assert await rig.outcomes([conversion("small", description="x" * 1_000)]) == [
        Deferred(nack_status=503, cause="too_large_for_a_proxy")
    ]
    (large,) = await rig.outcomes([conversion("large", description="x" * 70_000)], within_s=5)
    assert isinstance(large, Rejected)
    assert large.http_status == 413


async def test_evil_tag_that_quotes_a_value_of_everybody_s_is_rejected_alone() -> None:
    evil = "zzz) price_currency (USD"

    def handler(conversions: list[dict[str, object]]) -> HttpResponse:
        bad = [item for item in conversions if item["event_id"] == evil]
        error = {"code": "INVALID_PARAMETER", "message": f"event_id ({evil}) is not a single event tag (SET)"}
        return failed(400, error) if bad else ok(len(conversions))

    rig = Rig(FakeX(handler))
    good = [conversion(f"c{number}", price_currency="USD") for number in range(499)]
    outcomes = await rig.outcomes([*good, conversion("evil", event_tag=evil, price_currency="USD")])
    assert outcomes[:-1] == [Delivered()] * 499
    assert isinstance(outcomes[-1], Rejected)
    assert len(rig.x.requests) == 2


UNDOCUMENTED = [
    (400, {"code": "INVALID_PARAMETER", "message": "Unable to parse conversion time", "parameter": "conversion_time"}),
    (400, {"code": "INVALID_PARAMETER", "message": "event_id (o8z21) requires a value"}),
    (404, {"code": "NOT_FOUND", "message": "Event tag not found"}),
    (404, {}),
    (409, {"message": "Conflict"}),
    (410, {}),
    (418, {}),
    (422, {"code": "MALFORMED_REQUEST", "message": "Request body could not be parsed"}),
    (400, {"message": "no", "parameter": "conversions"}),
    (400, {"message": "pixel_id (o8z6j) is invalid", "parameter": "pixel_id"}),
]


@pytest.mark.parametrize(("status", "error"), UNDOCUMENTED)
async def test_words_that_x_never_documented_reject_one_of_50(status: int, error: dict[str, str]) -> None:
    def handler(conversions: list[dict[str, object]]) -> HttpResponse:
        return failed(status, error) if "c31" in str(conversions) else ok(len(conversions))

    rig = Rig(FakeX(handler))
    outcomes = await rig.outcomes(numbered(50))
    assert isinstance(outcomes.pop(31), Rejected)
    assert outcomes == [Delivered()] * 49
