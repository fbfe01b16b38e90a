"""The watchdog counts ticks without a heartbeat of the event loop, not the time of day."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from xcapi_core.watchdog import MAX_TICKS, Watchdog

# A hang guard, no expectation.
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "watchdog":
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def test_a_loop_that_hangs_ends_the_process_after_its_ticks(capfd: pytest.CaptureFixture[str]) -> None:
    hanging, ended = threading.Event(), threading.Event()
    codes: list[int] = []
    ticks = 0

    def tick(_: float) -> None:
        nonlocal ticks
        assert hanging.wait(PATIENCE_S)
        ticks += 1
        time.sleep(0.001)

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    async def hang() -> None:
        Watchdog(asyncio.get_running_loop(), sleep=tick, end=end).start()
        await asyncio.sleep(0)
        hanging.set()
        assert ended.wait(PATIENCE_S)  # the loop does nothing meanwhile

    asyncio.run(hang())
    assert codes == [70]
    assert ticks >= MAX_TICKS
    shown = capfd.readouterr().out
    assert '"event":"event_loop.crashed"' in shown
    assert "threading.py:" in shown


def test_a_loop_that_beats_lives_however_long_it_lives() -> None:
    codes: list[int] = []
    ticks = 0

    async def live() -> None:
        loop = asyncio.get_running_loop()

        def tick(_: float) -> None:
            # A tick passes once the loop had a turn.
            nonlocal ticks
            ticks += 1
            turn = threading.Event()
            with suppress(RuntimeError):  # closed
                loop.call_soon_threadsafe(turn.set)
            while not (turn.wait(0.01) or loop.is_closed()):
                pass

        Watchdog(loop, sleep=tick, end=codes.append).start()
        while ticks < 5 * MAX_TICKS and not codes:  # noqa: ASYNC110 - turns of the loop are what it is about
            await asyncio.sleep(0.001)

    asyncio.run(live())
    assert codes == []


def test_short_hangs_do_not_add_up() -> None:
    codes: list[int] = []
    passing = threading.Semaphore(0)
    ticks = 0

    def tick(_: float) -> None:
        nonlocal ticks
        assert passing.acquire(timeout=PATIENCE_S)
        ticks += 1

    async def stumble() -> None:
        Watchdog(asyncio.get_running_loop(), sleep=tick, end=codes.append).start()
        for hang in range(1, 13):
            passing.release(MAX_TICKS // 3)
            while ticks < hang * (MAX_TICKS // 3) and not codes:  # hangs
                time.sleep(0.001)  # noqa: ASYNC251 - on purpose
            await asyncio.sleep(0.01)

    asyncio.run(stumble())
    passing.release(2)  # so that it sees the loop's end
    assert codes == []
