"""`xcapi dlq replay`, ended at any moment: nothing is lost, and only what was on its way may be sent twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.queues import Queues, purchase

ROOT = Path(__file__).resolve().parents[3]
COUNT = 1_000
# The real command, with leases that a test can wait for.
CODE = """
import xcapi_core.cli.dlq.leases as leases, xcapi_core.cli.dlq.sweeping as sweeping
leases.LEASE_S = 10
sweeping.SILENCE_S = {silence_s}
from xcapi_core.cli.__main__ import main
main()
"""


def start(silence_s: float, rate: int) -> subprocess.Popen[bytes]:
    arguments = ["dlq", "replay", "--config", "config.json", "--rate", str(rate)]
    return subprocess.Popen(
        [sys.executable, "-c", CODE.format(silence_s=silence_s), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.timeout(600)
def test_nothing_is_lost_however_it_is_ended(queues: Queues) -> None:
    for number in range(COUNT):
        queues.dead_letter(purchase(number))
    Path("config.json").write_text(json.dumps(queues.configuration()))
    rate, chance = 100, random.Random(7)
    signals = (signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
    for number in signals:
        process = start(3, rate)
        time.sleep(chance.uniform(1.0, 4.0))
        process.send_signal(number)
        try:
            process.wait(200)
        finally:
            process.kill()
    sent: list[int] = []
    while set(sent) != set(range(COUNT)):  # what a killed one had asked for may be held for longer than its own leases
        assert start(14, 5_000).wait(300) == 0
        sent += [json.loads(message.data)["order_id"] for message in queues.waiting("remainder")]
    # One request a killed process and pull: `--rate` cuts them to a second's worth.
    assert len(sent) - COUNT <= 4 * rate * signals.count(signal.SIGKILL)
    assert queues.waiting("dead-letter") == []
