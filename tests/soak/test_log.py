"""What is read off the function's log."""

import json

from tests.soak.plan import MARK
from tests.soak.stage import Log


def entry(event: str, **facts: object) -> str:
    return json.dumps({"event": event, **facts})


def test_skipped_events_of_one_instance_add_up_over_a_message_s_deliveries() -> None:
    log = Log()
    log.read(
        [
            entry("delivery.deferred", message_id="0000000000000007", skipped_no_consent=2),
            entry("delivery.settled", message_id="0000000000000007", skipped_no_consent=1),
            entry("delivery.settled", message_id="0000000000000008", delivered=1),
        ]
    )
    log.read([entry("delivery.settled", message_id="0000000000000007", skipped_no_consent=1)])
    assert log.skipped[7] == 3, "another instance may say it anew, which is no further event"
    assert log.skipped[8] == 0


def test_bugs_and_leaks_are_counted() -> None:
    log = Log()
    log.read(
        [
            entry("batcher.crashed"),
            entry("batch.delivered"),
            "no JSON at all",
            f"Traceback: u1.2@{MARK}",
            entry("library.log", message="SandboxConsumerSecret0000NotARealSecret"),
        ]
    )
    assert log.alarms == {"batcher.crashed": 1}
    assert log.leaks == 2
