"""Dead letters: out in the delivery's time or the message comes back, and what is out is not published again."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from tests.fakes import FakePublisher
from tests.handling import message
from xcapi_core.deliveries.dead_letters import MAX_LETTERS_A_REASON, DeadLetter, Undeliverable
from xcapi_core.deliveries.delivery import Answer, Delivery
from xcapi_core.deliveries.publishing import DeadLetterPublisher, Mailer
from xcapi_core.ledger import Ledger
from xcapi_core.outcomes import DeadLetterReason

KEY = b"one message"
ACK = Answer(204)
NOT_MAILED = Answer(503, "dead_letters_unavailable")
FAILED_AT = datetime(2026, 4, 20, 12, 35, tzinfo=UTC)
# A hang guard, no expectation.
PATIENCE_S = 30.0


class Rig:
    def __init__(self, publisher: DeadLetterPublisher | None = None) -> None:
        self.letters = FakePublisher()
        self.ledger = Ledger()
        self.mailer = Mailer(
            publisher=publisher or self.letters,
            ledger=self.ledger,
            clock=time.monotonic,
            wall_clock=lambda: FAILED_AT,
        )

    async def mail(
        self, events: Sequence[Undeliverable], *, key: bytes | None = KEY, within_s: float = PATIENCE_S
    ) -> Delivery:
        delivery = Delivery(message=message(), deadline=time.monotonic() + within_s)
        await asyncio.wait_for(self.mailer.mail(delivery, key, events), PATIENCE_S)
        return delivery


def refused(
    index: int | None, reason: DeadLetterReason = DeadLetterReason.INVALID_EVENT, size: int = 1
) -> Undeliverable:
    return Undeliverable(event_index=index, event_bytes=b"x" * size, reason=reason)


async def test_letters_that_are_out_settle_their_events() -> None:
    rig = Rig()
    delivery = await rig.mail([refused(3), refused(5, DeadLetterReason.REJECTED)])
    assert [letter.data for letter in rig.letters.letters] == [b"x", b"x"]
    assert delivery.answer() == ACK
    assert delivery.settled_indices == {3, 5}
    assert rig.mailer.has_mailed(KEY, 3)
    assert rig.mailer.has_mailed(KEY, 5)
    assert not rig.mailer.has_mailed(KEY, 4)
    assert not rig.mailer.has_mailed(b"another message", 3)


async def test_letter_says_when_its_event_failed() -> None:
    rig = Rig()
    await rig.mail([refused(0)])
    assert rig.letters.letters[0].attributes["xcapi_failed_at"] == "2026-04-20T12:35:00.000Z"


async def test_without_letters_nothing_is_published() -> None:
    rig = Rig()
    assert (await rig.mail([])).answer() == ACK
    assert rig.letters.requests == 0


async def test_letter_of_a_whole_message_is_remembered_as_such() -> None:
    rig = Rig()
    await rig.mail([refused(None, DeadLetterReason.INVALID_MESSAGE)])
    assert rig.mailer.has_mailed(KEY, None)
    assert not rig.mailer.has_mailed(KEY, 0)


async def test_letters_of_a_message_without_an_id_are_published_and_not_remembered() -> None:
    rig = Rig()
    assert (await rig.mail([refused(0)], key=None)).answer() == ACK
    assert len(rig.letters.letters) == 1
    assert not rig.mailer.has_mailed(None, 0)


async def test_shared_letter_is_remembered_for_each_of_its_events() -> None:
    rig = Rig()
    count = MAX_LETTERS_A_REASON + 1
    delivery = await rig.mail([refused(index) for index in range(count)])
    assert len(rig.letters.letters) == 1
    assert delivery.settled_indices == set(range(count))
    assert all(rig.mailer.has_mailed(KEY, index) for index in range(count))


async def test_refused_letters_bring_the_message_back() -> None:
    rig = Rig()
    rig.letters.cause = "PERMISSION_DENIED"
    delivery = await rig.mail([refused(0)])
    assert delivery.answer() == NOT_MAILED
    assert delivery.settled_indices == set()
    assert not rig.mailer.has_mailed(KEY, 0)


async def test_cause_is_logged_and_no_letter_is(capfd: pytest.CaptureFixture[str]) -> None:
    rig = Rig()
    rig.letters.cause = "PERMISSION_DENIED"
    await rig.mail([Undeliverable(event_index=0, event_bytes=b"jane", reason=DeadLetterReason.INVALID_EVENT)])
    shown = capfd.readouterr().out
    assert "dead_letters.unavailable" in shown
    assert "PERMISSION_DENIED" in shown
    assert "jane" not in shown


async def test_what_was_published_before_a_request_failed_stays_settled() -> None:
    class SecondFails(FakePublisher):
        async def publish(self, letters: Sequence[DeadLetter], timeout_s: float) -> str | None:
            self.cause = "UNAVAILABLE" if self.requests else None
            return await super().publish(letters, timeout_s)

    rig = Rig(SecondFails())
    # 4 MB each: two to a request.
    delivery = await rig.mail([refused(index, size=4_000_000) for index in range(6)])
    assert delivery.answer() == NOT_MAILED
    assert delivery.settled_indices == {0, 1}
    assert [rig.mailer.has_mailed(KEY, index) for index in range(6)] == [True, True, False, False, False, False]


async def test_hanging_publisher_is_waited_for_until_the_delivery_s_deadline_and_no_longer() -> None:
    rig = Rig()
    rig.letters.gate = asyncio.Event()
    delivery = await rig.mail([refused(0)], within_s=0.05)
    assert delivery.answer() == NOT_MAILED
    rig.letters.gate.set()
    await asyncio.sleep(0.01)
    assert rig.mailer.has_mailed(KEY, 0), "late, but out"
    assert delivery.settled_indices == set(), "its delivery was answered by then"


async def test_late_failure_is_not_taken_for_a_success() -> None:
    rig = Rig()
    rig.letters.gate = asyncio.Event()
    rig.letters.cause = "UNAVAILABLE"
    await rig.mail([refused(0)], within_s=0.05)
    rig.letters.gate.set()
    await asyncio.sleep(0.01)
    assert not rig.mailer.has_mailed(KEY, 0)


async def test_publisher_is_told_how_much_time_the_delivery_has_left() -> None:
    limits: list[float] = []

    class Recording(FakePublisher):
        async def publish(self, letters: Sequence[DeadLetter], timeout_s: float) -> str | None:
            limits.append(timeout_s)
            return await super().publish(letters, timeout_s)

    rig = Rig(Recording())
    await rig.mail([refused(0)], within_s=7.0)
    await rig.mail([refused(1)], within_s=-1.0)
    assert 0 < limits[0] <= 7.0
    assert limits[1] == 0.0


async def test_at_the_end_of_a_shutdown_nobody_waits_for_letters_any_more() -> None:
    rig = Rig()
    rig.letters.gate = asyncio.Event()
    mailing = [asyncio.create_task(rig.mail([refused(index)])) for index in range(3)]
    await asyncio.sleep(0.01)
    rig.mailer.give_up()
    deliveries = await asyncio.gather(*mailing)
    assert [delivery.answer() for delivery in deliveries] == [NOT_MAILED] * 3
    rig.letters.gate.set()
    await asyncio.sleep(0.01)
    assert rig.mailer.has_mailed(KEY, 0)
