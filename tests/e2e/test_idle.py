"""Cloud Run takes the CPU away between requests: the whole process group is stopped, and goes on."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.push import event, push
from tests.e2e.stack import Stack, running
from xcapi_core.sandbox.services.function_venv import FunctionVenv


@pytest.fixture(scope="module")
def stack(function_venv: FunctionVenv) -> Iterator[Stack]:
    with running(function_venv, extra_environment={"CLOUD_RUN_TIMEOUT_SECONDS": "2"}) as one:
        yield one


def _worker(stack: Stack) -> int:
    arbiter = stack.function.pid
    with open(f"/proc/{arbiter}/task/{arbiter}/children") as children:  # noqa: PTH123 - procfs
        return int(children.read().split()[0])


@pytest.mark.parametrize("seconds", [6, pytest.param(75, marks=pytest.mark.slow)])
async def test_instance_without_cpu_lives_on_with_all_it_knows(stack: Stack, seconds: int) -> None:
    known = event()
    assert (await push(stack.url, known)).status == 204
    worker = _worker(stack)
    group = os.getpgid(stack.function.pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
        waking = asyncio.create_task(push(stack.url, event()))
        await asyncio.sleep(0.2)
    finally:
        os.killpg(group, signal.SIGCONT)
    assert (await waking).status == 204
    await asyncio.sleep(3)
    assert (await push(stack.url, known)).status == 204
    assert _worker(stack) == worker
    assert stack.accepted_ids().count(str(known["conversion_id"])) == 1, "the ledger is still there"
