"""SIGTERM, as Cloud Run sends it: to the arbiter, with ten seconds before SIGKILL."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.e2e.nasty_x import Behaviour, NastyX, Received, well
from tests.e2e.push import Answer, envelope, event, new_id, post, push
from tests.e2e.stack import Stack, running
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e

# A hang guard, no expectation.
PATIENCE_S = 60.0
# Until what was pushed has arrived, on a busy machine too.
ARRIVAL_S = 2.0
# What X takes for a request that is to outlast a stop: less than the six seconds that it has then.
LONG_S = 5.0


@dataclass(slots=True)
class Scene:
    """A function with requests under way, and when it was told to stop."""

    stack: Stack
    x: NastyX
    stopped_at: float = field(default=0.0)

    def stop(self) -> None:
        self.stopped_at = time.monotonic()
        self.stack.function.send(signal.SIGTERM)

    @property
    def since_stop(self) -> float:
        return time.monotonic() - self.stopped_at

    async def gone(self) -> None:
        """Wait for the process's end."""
        await _until(lambda: self.stack.function.exit_code is not None)


@asynccontextmanager
async def _scene(venv: FunctionVenv, *, max_in_flight: int = 4) -> AsyncIterator[Scene]:
    with (
        NastyX() as x,
        running(
            venv, x_url=x.url, request_timeout_s=20, settle_timeout_s=50, batch={"max_in_flight": max_in_flight}
        ) as stack,
    ):
        assert (await push(stack.url, event())).status == 204
        x.received.clear()
        yield Scene(stack, x)
        for line in stack.function.lines:
            assert json.loads(line)["severity"]
            assert "crashed" not in line
            assert "Traceback" not in line


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what happens in other threads and processes
            await asyncio.sleep(0.01)


def _slow(seconds: float) -> Behaviour:
    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await well(request, writer)

    return behave


async def test_post_in_flight_is_finished_and_acked_and_who_waits_is_nacked_at_once(
    function_venv: FunctionVenv,
) -> None:
    async with _scene(function_venv, max_in_flight=1) as scene:
        scene.x.behave = _slow(LONG_S)
        flying = [asyncio.create_task(push(scene.stack.url, event())) for _ in range(3)]
        await _until(lambda: scene.x.received)
        waiting = [asyncio.create_task(push(scene.stack.url, event())) for _ in range(30)]
        await asyncio.sleep(ARRIVAL_S)
        scene.stop()
        nacked = await asyncio.gather(*waiting)
        assert not all(task.done() for task in flying), "they did not wait for what X has"
        acked_later = await asyncio.gather(*flying)
        by_status = {204: 0, 503: 0}
        for answer in (*nacked, *acked_later):
            by_status[answer.status] += 1
        x_has = sum(len(request.conversions) for request in scene.x.received)
        # What X has is acked, and nothing else is.
        assert by_status[204] == x_has >= 1
        assert {answer.reason for answer in nacked if answer.status == 503} == {"shutting_down"}
        assert by_status[503] >= 30
        await scene.gone()


async def test_what_hangs_is_ended_in_time(function_venv: FunctionVenv) -> None:
    """A POST that X never answers, and a dead letter for a topic that is down, side by side: both take their time."""

    async def hang(_: Received, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def hold_out(delivery: object, ends_after_s: float) -> None:
        async with _scene(function_venv) as scene:
            scene.x.behave = hang
            scene.stack.pubsub.set_down(down=True)
            flying = asyncio.create_task(push(scene.stack.url, delivery))
            await asyncio.sleep(ARRIVAL_S)
            scene.stop()
            assert (await flying).status == 503
            # Unstopped, the POST has twenty seconds, and the delivery fifty.
            assert ends_after_s - 0.5 < scene.since_stop < 17
            await scene.gone()

    await asyncio.gather(hold_out(event(), 6.0), hold_out(["junk"], 8.2))


async def test_new_deliveries_after_the_signal_are_not_acked(function_venv: FunctionVenv) -> None:
    async with _scene(function_venv) as scene:
        scene.x.behave = _slow(LONG_S)
        flying = asyncio.create_task(push(scene.stack.url, event()))
        await _until(lambda: scene.x.received)
        scene.stop()
        late: list[Answer] = []
        while scene.stack.function.exit_code is None and scene.since_stop < PATIENCE_S:
            late.append(await push(scene.stack.url, event()))
            await asyncio.sleep(0.05)
        assert (await flying).status == 204
        # Not connected any more (0) or nacked.
        assert {answer.status for answer in late} <= {0, 503}
        assert len(scene.x.received) == 1
        await scene.gone()


async def test_a_kept_open_connection_is_told_too(function_venv: FunctionVenv) -> None:
    """A second delivery on a connection that was open before the signal."""
    async with _scene(function_venv) as scene:
        scene.x.behave = _slow(LONG_S)
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.stack.function.port)
        flying = asyncio.create_task(push(scene.stack.url, event()))
        await _until(lambda: scene.x.received)
        scene.stop()
        # Heard: it takes no more connections, or no more deliveries.
        while (await push(scene.stack.url, [])).status == 204:
            pass
        await asyncio.sleep(0.5)
        body = json.dumps(envelope(event())).encode()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        try:
            said = await reader.read(200)
        except OSError:
            said = b""
        assert b" 204 " not in said
        assert said == b"" or b" 503 " in said
        writer.close()
        assert (await flying).status == 204
        await scene.gone()


async def test_search_under_way_keeps_its_verdicts(function_venv: FunctionVenv) -> None:
    """Refused batches are not searched on: who has no verdict is nacked, who has one keeps it."""
    async with _scene(function_venv) as scene:
        taken: list[object] = []

        async def refuse_unnamed(request: Received, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.2)
            ids = [one["conversion_id"] for one in request.conversions]
            if any(str(one).startswith("bad") for one in ids):
                writer.write(
                    b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: 46\r\n\r\n"
                    b'{"errors": [{"code": "INVALID_PARAMETER"}   ]}'
                )
                return
            taken.extend(ids)
            await well(request, writer)

        scene.x.behave = refuse_unnamed
        events = [event() for _ in range(100)] + [event(conversion_id=new_id("bad")) for _ in range(3)]
        flying = asyncio.create_task(push(scene.stack.url, events))
        await _until(lambda: len(scene.x.received) >= 4)
        scene.stop()
        answer = await flying
        assert answer.status == 503
        assert len(taken) == len(set(taken))
        await scene.gone()


async def test_waiting_for_a_pause_or_for_keys_ends_at_once(function_venv: FunctionVenv) -> None:
    async with _scene(function_venv) as scene:

        async def limited(_: Received, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 429 T\r\nRetry-After: 20\r\nContent-Length: 2\r\n\r\n{}")

        scene.x.behave = limited
        scene.stack.secrets.set_delay(20)
        keyless = asyncio.create_task(push(scene.stack.url, event(event_id=None, event="purchase", pixel_id="p9q7k")))
        await push(scene.stack.url, event())
        waiting = [asyncio.create_task(push(scene.stack.url, event())) for _ in range(10)]
        await asyncio.sleep(ARRIVAL_S)
        scene.stop()
        answers = await asyncio.gather(keyless, *waiting)
        assert scene.since_stop < 10, "they did not wait for what they waited for"
        assert {answer.status for answer in answers} <= {429, 503}
        assert answers[0].reason == "shutting_down"
        await scene.gone()


async def test_dead_letters_in_flight_are_finished(function_venv: FunctionVenv) -> None:
    async with _scene(function_venv) as scene:
        scene.stack.pubsub.set_down(down=True)
        flying = asyncio.create_task(push(scene.stack.url, ["junk"]))
        await asyncio.sleep(ARRIVAL_S)
        scene.stop()
        await asyncio.sleep(0.3)
        scene.stack.pubsub.set_down(down=False)
        assert (await flying).status == 204
        assert len(scene.stack.dead_letters(1)) == 1
        await scene.gone()


async def test_signal_before_any_delivery_ends_the_process(function_venv: FunctionVenv) -> None:
    with running(function_venv) as stack:
        stack.function.send(signal.SIGTERM)
        await _until(lambda: stack.function.exit_code is not None)


async def test_worker_that_dies_is_replaced_and_nothing_is_acked(function_venv: FunctionVenv) -> None:
    """SIGKILL of the worker: the delivery gets no answer and comes back; the new worker takes it."""
    async with _scene(function_venv) as scene:
        scene.x.behave = _slow(LONG_S)
        body = envelope(event(), message_id=new_id("m"))
        flying = asyncio.create_task(post(scene.stack.url, body))
        await _until(lambda: scene.x.received)
        arbiter = scene.stack.function.pid
        with open(f"/proc/{arbiter}/task/{arbiter}/children") as children:  # noqa: ASYNC230, PTH123 - procfs
            os.kill(int(children.read().split()[0]), signal.SIGKILL)
        assert (await flying).status == 0
        scene.x.start_over()
        while not (answer := await post(scene.stack.url, body)).status:  # noqa: ASYNC110 - another process begins
            await asyncio.sleep(0.05)
        assert answer.status == 204
