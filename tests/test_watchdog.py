"""The watchdog counts ticks without a heartbeat of the event loop, not the time of day."""

import asyncio
import threading
import time

import pytest

from xcapi_core.watchdog import MAX_TICKS, Watchdog

# A hang guard, no expectation.
PATIENCE_S = 30.0


def test_a_loop_that_hangs_ends_the_process_after_its_ticks(capfd: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    codes: list[int] = []
    ticks = 0

    def tick(_: float) -> None:
        nonlocal ticks
        ticks += 1
        time.sleep(0.001)

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    async def hang() -> None:
        Watchdog(asyncio.get_running_loop(), sleep=tick, end=end).start()
        await asyncio.sleep(0.01)
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
            loop.call_soon_threadsafe(turn.set)
            turn.wait(PATIENCE_S)

        Watchdog(loop, sleep=tick, end=codes.append).start()
        while ticks < 5 * MAX_TICKS:  # noqa: ASYNC110 - turns of the loop are what it is about
            await asyncio.sleep(0.001)

    asyncio.run(live())
    assert codes == []


def test_short_hangs_do_not_add_up() -> None:
    codes: list[int] = []
    beats = 0
    ticks = 0

    async def stumble() -> None:
        nonlocal beats
        loop = asyncio.get_running_loop()

        def tick(_: float) -> None:
            nonlocal ticks
            ticks += 1
            time.sleep(0.01)

        Watchdog(loop, sleep=tick, end=codes.append).start()
        while ticks < 4 * MAX_TICKS and not codes:
            before = ticks
            while ticks < before + MAX_TICKS // 3:  # hangs
                time.sleep(0.01)  # noqa: ASYNC251 - on purpose
            await asyncio.sleep(0.01)
            beats += 1

    asyncio.run(stumble())
    assert beats > 3
    assert codes == []
