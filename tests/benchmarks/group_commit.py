"""What group commit saves: 400 deliveries of one event each at the same time, X at 200 ms."""

import asyncio
import statistics
import time

from tests.benchmarks.measuring import Table, silenced
from tests.fakes import FakeX
from tests.forwarding import ForwarderRig, event, message
from xcapi_core.settings import BatchSettings

__all__ = ["measure_group_commit"]

DELIVERIES = 400
X_LATENCY_S = 0.2
ROUNDS = 5


def measure_group_commit() -> Table:
    """Compare batches of up to 500 with one request an event, at the same number of requests at once."""
    shared = [_run(BatchSettings()) for _ in range(ROUNDS)]
    alone = [_run(BatchSettings(max_conversions=1))]
    rows = []
    for name, runs in (("group commit", shared), ("one request an event", alone)):
        wall_s = statistics.median(wall for wall, _ in runs)
        requests = statistics.median(count for _, count in runs)
        rows.append(
            (name, f"{requests:.0f}", f"{DELIVERIES / requests:.1f}", f"{wall_s:.2f}", f"{DELIVERIES / wall_s:,.0f}")
        )
    ratio = statistics.median(wall for wall, _ in alone) / statistics.median(wall for wall, _ in shared)
    return Table(
        title=f"{DELIVERIES} deliveries of one event at the same time, X at 200 ms, 4 requests at once",
        columns=("", "requests", "events a request", "s", "events/s"),
        rows=rows,
        note=f"Group commit is {ratio:.0f} times as fast.",
    )


def _run(batch: BatchSettings) -> tuple[float, int]:
    with silenced():
        return asyncio.run(_deliver(batch))


async def _deliver(batch: BatchSettings) -> tuple[float, int]:
    rig = ForwarderRig(FakeX(latency_s=X_LATENCY_S), batch=batch)
    started = time.perf_counter()
    arriving = []
    for number in range(DELIVERIES):
        one = message(event(f"c{number}"), message_id=str(number))
        arriving.append(asyncio.create_task(rig.forwarder.forward(one)))
        # Each in a turn of its own, as requests come off the wire.
        await asyncio.sleep(0)
    answers = await asyncio.gather(*arriving)
    if not all(answer.is_ack for answer in answers):
        raise AssertionError("an event was not delivered")
    return time.perf_counter() - started, len(rig.x.requests)
