"""Bodies: in time and within the memory, or given up with a status."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from tests.virtual_time import VirtualLoop
from xcapi_core.deliveries.admission import MAX_BODY_BYTES, MAX_HELD_BYTES, Admission
from xcapi_core.deliveries.bodies import BODY_TIMEOUT_S, Bodies, BodyRefused


def sender(*chunks: bytes, then: dict[str, Any] | None = None, pause_s: float = 0.0) -> Callable[[], Awaitable[Any]]:
    """Return an ASGI `receive` that gives these chunks, and after them `then`, or nothing for ever."""
    parts: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    parts += [then] if then else []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        if not parts:
            await asyncio.sleep(1e9)
        return parts.pop(0)

    return receive


END = {"type": "http.request", "body": b"", "more_body": False}


async def refused(bodies: Bodies, receive: Callable[[], Awaitable[Any]], declared: int | None = None) -> int:
    with pytest.raises(BodyRefused) as caught:
        await bodies.receive(receive, declared)
    return caught.value.status


def is_empty(admission: Admission) -> bool:
    """Tell whether nothing is held: then whatever large delivery alone is admitted."""
    fits = admission.admit(2 * MAX_HELD_BYTES)
    admission.release(2 * MAX_HELD_BYTES)
    return fits


@pytest.mark.parametrize("declared", [None, 6])
async def test_body_is_put_together_and_its_room_is_given_back_by_the_caller(declared: int | None) -> None:
    admission = Admission()
    body, held = await Bodies(admission).receive(sender(b"abc", b"def", then=END), declared)
    assert body == b"abcdef"
    assert not admission.admit(2 * MAX_HELD_BYTES)
    admission.release(held)
    assert is_empty(admission)


@pytest.mark.parametrize("declared", [None, 1_000, MAX_BODY_BYTES])
@pytest.mark.parametrize("chunks", [(), (b"five!",)])
def test_body_that_never_arrives_is_given_up_after_20_s(declared: int | None, chunks: Iterable[bytes]) -> None:
    loop = VirtualLoop()
    admission = Admission()
    started = loop.time()
    assert loop.run(refused(Bodies(admission), sender(*chunks), declared)) == 408
    assert loop.time() - started == pytest.approx(BODY_TIMEOUT_S)
    assert is_empty(admission)


def test_body_that_trickles_is_given_up_too_and_one_in_time_is_not() -> None:
    loop = VirtualLoop()

    async def both() -> tuple[int, tuple[bytearray, int]]:
        bodies = Bodies(Admission())
        trickle = refused(bodies, sender(*[b"x"] * 100, then=END, pause_s=1.0))
        slow = bodies.receive(sender(*[b"x"] * 10, then=END, pause_s=1.0), None)
        return await asyncio.gather(trickle, slow)

    status, (body, _) = loop.run(both())
    assert status == 408
    assert body == b"x" * 10


async def test_sockets_that_declare_much_and_send_nothing_keep_nobody_out() -> None:
    bodies = Bodies(Admission())
    idle = [asyncio.create_task(bodies.receive(sender(b"five!"), MAX_BODY_BYTES)) for _ in range(20)]
    await asyncio.sleep(0.01)
    body, _ = await bodies.receive(sender(b"abc", then=END), 3)
    assert body == b"abc"
    bodies.stop()
    for task in idle:
        with pytest.raises(BodyRefused, match="shutting_down"):
            await task


async def test_body_larger_than_any_delivery_is_refused_whether_declared_or_not() -> None:
    admission = Admission()
    assert await refused(Bodies(admission), sender(b"x", then=END), MAX_BODY_BYTES + 1) == 400
    assert await refused(Bodies(admission), sender(*[bytes(1 << 20)] * 17, then=END)) == 400
    assert is_empty(admission)


async def test_body_that_does_not_fit_the_memory_is_nacked_and_takes_no_room() -> None:
    admission = Admission(1_000_000)
    assert admission.admit(900_000)
    assert await refused(Bodies(admission), sender(b"x" * 200_000, then=END)) == 429
    assert await refused(Bodies(admission), sender(b"x" * 200_000, then=END), 200_000) == 429
    admission.release(900_000)
    assert is_empty(admission)


async def test_caller_who_goes_away_leaves_nothing_behind() -> None:
    admission = Admission()
    bodies = Bodies(admission)
    assert await refused(bodies, sender(b"abc", then={"type": "http.disconnect"})) == 400
    task = asyncio.create_task(bodies.receive(sender(b"abc"), None))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_empty(admission)
