"""What callers do to the function: bodies that stop, memory by events."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from tests.e2e.nasty_x import NastyX, Received
from tests.e2e.push import event, new_id, push, request
from tests.e2e.stack import Stack, running
from xcapi_core.sandbox.services.function_venv import FunctionVenv

# The whole worker, whatever it is at: an instance of 512 MiB survives.
MAX_WORKER_MB = 420


@pytest.fixture(scope="module")
def stack(function_venv: FunctionVenv) -> Iterator[Stack]:
    with running(function_venv) as one:
        yield one


def _worker(stack: Stack) -> int:
    arbiter = stack.function.pid
    with open(f"/proc/{arbiter}/task/{arbiter}/children") as children:  # noqa: PTH123 - procfs
        return int(children.read().split()[0])


def _peak_mb(pid: int) -> float:
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123 - procfs
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_405(stack: Stack, method: str) -> None:
    assert (await request(stack.url, method)).status == 405


@pytest.mark.parametrize("head", ["Content-Length: 13000000", "Transfer-Encoding: chunked"])
async def test_body_that_never_arrives_is_408_and_keeps_nobody_out(stack: Stack, head: str) -> None:
    sockets = [await asyncio.open_connection("127.0.0.1", stack.function.port) for _ in range(8)]
    for _, writer in sockets:
        part = b"5\r\nhello\r\n" if "chunked" in head else b"hello"
        writer.write(f"POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + part)
    await asyncio.sleep(0.5)
    assert (await push(stack.url, event())).status == 204
    answers = await asyncio.gather(*(reader.readline() for reader, _ in sockets))
    assert {answer.split()[1] for answer in answers} == {b"408"}
    for _, writer in sockets:
        writer.close()


async def test_rubbish_by_the_hundred_thousand_stays_in_memory_and_others_are_served(
    function_venv: FunctionVenv,
) -> None:
    with running(function_venv, settle_timeout_s=90, request_timeout_s=20) as stack:
        data = b"[" + b"1," * 349_999 + b"1]"
        rubbish = [asyncio.create_task(push(stack.url, data)) for _ in range(8)]
        while not all(task.done() for task in rubbish):
            assert (await push(stack.url, event())).status == 204
            await asyncio.sleep(0.05)
        statuses = [task.result().status for task in rubbish]
        assert set(statuses) <= {204, 429}
        assert 204 in statuses
        assert _peak_mb(_worker(stack)) < MAX_WORKER_MB


async def test_valid_events_while_x_hangs_stay_in_memory(function_venv: FunctionVenv) -> None:
    async def hang(_: Received, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    with NastyX() as x, running(function_venv, x_url=x.url, request_timeout_s=15, settle_timeout_s=25) as stack:
        x.behave = hang
        messages = [
            json.dumps([{"event": "purchase", "twclid": f"t{n}x{i}"} for i in range(4_000)]).encode()
            for n in range(200)
        ]
        answers = await asyncio.gather(*(push(stack.url, data, message_id=new_id("m")) for data in messages))
        statuses = [answer.status for answer in answers]
        assert set(statuses) <= {429, 503}
        assert statuses.count(429) > 0
        assert _peak_mb(_worker(stack)) < MAX_WORKER_MB


async def test_large_message_of_bad_events_does_not_hold_up_others(stack: Stack) -> None:
    bad = [
        {"event": "purchase", "email": "no-address", "value": f"{n}", "text": "ä\\u00e4" * 40} for n in range(15_000)
    ]
    data = json.dumps(bad).encode()[:-1] + b',{"cut": ]'
    large = asyncio.create_task(push(stack.url, data))
    served = 0
    while not large.done():
        assert (await push(stack.url, event())).status == 204
        served += 1
        await asyncio.sleep(0.02)
    assert served > 3
    assert large.result().status == 204
