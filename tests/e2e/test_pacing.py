"""X's "not before" is kept, and by one pixel alone."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.e2e.nasty_x import NastyX, Received, well
from tests.e2e.push import Answer, event, push
from tests.e2e.stack import Stack, running
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e

SETTLE_TIMEOUT_S = 50.0
# Long enough for what is pushed meanwhile to arrive on a busy machine.
PAUSE_S = 5


@pytest.fixture
def stack(function_venv: FunctionVenv) -> Iterator[Stack]:
    """Give each test a function of its own: a pause outlives the test that began it."""
    with running(function_venv, request_timeout_s=10, settle_timeout_s=SETTLE_TIMEOUT_S) as running_stack:
        yield running_stack


def _other_pixels_event() -> dict[str, object]:
    return event(event_id=None, event="purchase", pixel_id="p9q7k")


FAULTS: dict[str, dict[str, object]] = {
    "429 with Retry-After": {"status": 429, "retry_after_s": PAUSE_S},
    "429 with resets": {"status": 429, "reset_in_s": PAUSE_S},
    "503 with Retry-After": {"status": 503, "retry_after_s": PAUSE_S},
}


@pytest.mark.parametrize("name", FAULTS)
async def test_pause_lasts_until_the_time_that_x_named(stack: Stack, name: str) -> None:
    stack.sandbox.inject({**FAULTS[name], "times": 1, "pixel_id": "o8z6j"})
    first = await push(stack.url, event())
    assert first.status == FAULTS[name]["status"]
    waiting = [asyncio.create_task(push(stack.url, event())) for _ in range(20)]
    # Meanwhile the other pixel goes on as if nothing had happened.
    others = [await push(stack.url, _other_pixels_event()) for _ in range(5)]
    assert {answer.status for answer in others} == {204}
    answers: list[Answer] = await asyncio.gather(*waiting)
    assert {answer.status for answer in answers} == {204}
    records = stack.sandbox.requests("o8z6j")
    assert records[1].received_at - records[0].received_at >= PAUSE_S - 0.1 - (1 if "reset" in name else 0)
    assert stack.sandbox.requests("p9q7k")[0].received_at < records[1].received_at
    assert not any(record.early for record in records)
    assert len(stack.accepted_ids("o8z6j")) == 20
    # After the pause one request asks first; what waited leaves together.
    assert len(records) <= 3


@pytest.mark.parametrize("fault", [{"retry_after_s": 60}, {"reset_in_s": 60}])
async def test_who_cannot_wait_is_nacked_at_once(stack: Stack, fault: dict[str, object]) -> None:
    stack.sandbox.inject({"status": 429, "times": 1, "pixel_id": "o8z6j", **fault})
    assert (await push(stack.url, event())).status == 429
    answers = await asyncio.gather(*(push(stack.url, event()) for _ in range(30)))
    assert {(answer.status, answer.reason) for answer in answers} == {(429, "rate_limited")}
    assert max(answer.seconds for answer in answers) < SETTLE_TIMEOUT_S / 2, "they did not wait for their time's end"
    assert len(stack.sandbox.requests("o8z6j")) == 1
    assert (await push(stack.url, _other_pixels_event())).status == 204


async def test_accounts_headers_win_over_the_users(stack: Stack) -> None:
    now = int(time.time())
    headers = {
        "x-rate-limit-limit": "1000",
        "x-rate-limit-remaining": "1000",
        "x-rate-limit-reset": str(now + 1),
        "x-account-rate-limit-limit": "1000",
        "x-account-rate-limit-remaining": "0",
        "x-account-rate-limit-reset": str(now + 120),
    }
    stack.sandbox.inject({"status": 429, "headers": headers, "times": 1})
    assert (await push(stack.url, event())).status == 429
    await asyncio.sleep(1.5)
    assert (await push(stack.url, event())).status == 429
    assert len(stack.sandbox.requests()) == 1


async def test_a_200_that_says_nothing_is_left_stops_the_next(stack: Stack) -> None:
    """The headers count on a success too: the pause begins before any request is refused."""
    stack.sandbox.inject(
        {
            "headers": {
                "x-account-rate-limit-limit": "1000",
                "x-account-rate-limit-remaining": "0",
                "x-account-rate-limit-reset": str(int(time.time()) + 120),
            },
            "times": 1,
        }
    )
    assert (await push(stack.url, event())).status == 204
    assert (await push(stack.url, event())).status == 429
    assert len(stack.sandbox.requests()) == 1


async def test_429_without_a_time_backs_off_and_recovers(stack: Stack) -> None:
    stack.sandbox.inject(
        {
            "status": 429,
            "times": 1,
            "headers": {"x-account-rate-limit-reset": "soon", "x-rate-limit-reset": "-", "retry-after": "in a while"},
        }
    )
    assert (await push(stack.url, event())).status == 429
    assert (await push(stack.url, event())).status == 204
    refused, taken = stack.sandbox.requests()
    assert taken.received_at - refused.received_at > 0.5


@pytest.mark.parametrize("value", ["-5", "99999999999999999999", "1e400", "nan", "Wed, 99 Foo 2026", " ", "0"])
async def test_odd_times_neither_crash_nor_stop_the_pixel_for_good(stack: Stack, value: str) -> None:
    stack.sandbox.inject(
        {
            "status": 503,
            "times": 1,
            "headers": {
                "retry-after": value,
                "x-account-rate-limit-reset": value,
                "x-account-rate-limit-remaining": value,
            },
        }
    )
    assert (await push(stack.url, event())).status == 503
    answer = await push(stack.url, event())
    assert answer.status in {204, 429, 503}
    assert not [line for line in stack.function.lines if "crashed" in line]


async def test_the_local_budget_is_never_exceeded(function_venv: FunctionVenv) -> None:
    """100 events in any 6 seconds beside an X that names no limits: what fits waits, the rest is nacked with 429."""
    window_s = 6.0
    with (
        NastyX() as x,
        running(
            function_venv,
            x_url=x.url,
            request_timeout_s=5,
            settle_timeout_s=20,
            rate={"events": 100, "window_s": window_s},
            batch={"max_conversions": 20},
        ) as stack,
    ):
        sent: list[tuple[float, int]] = []

        async def note(request: Received, writer: asyncio.StreamWriter) -> None:
            sent.append((time.monotonic(), len(request.conversions)))
            await well(request, writer)

        x.behave = note
        answers = await asyncio.gather(*(push(stack.url, event()) for _ in range(350)))
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {204, 429}
        assert sum(count for _, count in sent) == statuses.count(204)
        assert {answer.reason for answer in answers if answer.status == 429} == {"rate_budget_spent"}
        for start, _ in sent:
            # A request is received after it was counted, on a busy machine by more than a little.
            assert sum(count for at, count in sent if start <= at < start + window_s / 2) <= 100
        assert statuses.count(204) >= 100
