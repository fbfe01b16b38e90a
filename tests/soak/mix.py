"""The soak itself: mixed messages, everyday faults, the incidents, and the evidence of it all."""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.soak.account import Account, settle
from tests.soak.driver import Driver, Redelivery
from tests.soak.emulated import EmulatorDriver
from tests.soak.evidence import Drive, Evidence, SeenDeadLetter
from tests.soak.incidents import everyday_faults, incidents
from tests.soak.plan import Plan
from tests.soak.stage import PATH, Stage, open_stage
from tests.soak.timeline import Band, Timeline
from tests.soak.watching import Watcher
from xcapi_core.sandbox.config import SandboxConfig
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["MixReport", "run_mix"]

REQUEST_TIMEOUT_S: Final = 3.0
_SETTLE_TIMEOUT_S: Final = 12.0
_ACK_DEADLINE_S: Final = 32
# Small, so that it is spent all the time; of each pixel.
RATE_EVENTS: Final = 3_000
RATE_WINDOW_S: Final = 10.0
# A fifth of the usual, so that there are enough requests for every fault to happen.
_BATCH: Final = {"max_conversions": 100, "max_in_flight": 4}
_WHOLE: Final = 100_000
_FEW: Final = 5_000
# So much of the whole is published before the next incident's time at most.
_AHEAD: Final = 0.1
_TICK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class MixReport:
    """What a run ends with."""

    seed: int
    through: str
    seconds: float
    account: Account
    timeline: Timeline
    waits_s: tuple[float, ...]
    answers: dict[str, int]
    x_answers: dict[str, int]
    restarts: int
    remainders: int
    handed_over: int


def run_mix(
    *, events: int, seed: int, watcher: Watcher, keep_log: Path | None = None, emulator: bool = False
) -> MixReport:
    """Run it with our own driver, or through Google's emulator. Raises LocalServiceError when one cannot be had."""
    plan = Plan(seed=seed, events=events)
    with open_stage(
        x=SandboxConfig(events_per_window=RATE_EVENTS, window_s=RATE_WINDOW_S, random_seed=seed),
        pubsub=PubsubEmulator() if emulator else EmbeddedPubsub(),
        ack_deadline_s=_ACK_DEADLINE_S,
        keep_log=keep_log,
        on_install=watcher.install,
        request_timeout_s=REQUEST_TIMEOUT_S,
        settle_timeout_s=_SETTLE_TIMEOUT_S,
        rate={"events": RATE_EVENTS, "window_s": RATE_WINDOW_S},
        batch=_BATCH,
    ) as stage:
        return asyncio.run(_drive(plan, stage, watcher))


def _driver(plan: Plan, stage: Stage) -> Driver | EmulatorDriver:
    if isinstance(stage.pubsub, PubsubEmulator):
        return EmulatorDriver(plan, pubsub=stage.pubsub, topic=PATH.topic, new_lines=stage.new_lines)
    rules = Redelivery(
        ack_deadline_s=_ACK_DEADLINE_S,
        # A short run would be little else than back-off.
        min_backoff_s=1.0 if plan.events > _FEW else 0.2,
        max_backoff_s=4.0 if plan.events > _FEW else 1.0,
        outstanding=100,
    )
    return Driver(plan, url=lambda: stage.url, subscription=PATH.subscription, rules=rules, seed=plan.seed)


async def _drive(plan: Plan, stage: Stage, watcher: Watcher) -> MixReport:
    scale = min(1.0, plan.events / _WHOLE)
    everyday = everyday_faults(REQUEST_TIMEOUT_S)
    stage.x.inject(*everyday)
    driver = _driver(plan, stage)
    timeline = Timeline()
    watcher.begins(plan.events, "events acked")
    driver.hold_at = _AHEAD * plan.events
    running = asyncio.create_task(driver.run())
    watching = asyncio.create_task(
        timeline.watch(stage.memory_mb, lambda: driver.oldest_wait_s, lambda: driver.acked_events)
    )
    to_come = incidents(outage_s=max(1.0, 60 * scale), away_s=max(1.0, 20 * scale), everyday=everyday)
    if isinstance(driver, EmulatorDriver):
        # The emulator stops pushing for good when its endpoint goes away a second time, and cannot be away from the
        # function alone.
        to_come = [one for one in to_come if one.for_the_emulator]
    give_up_at = time.time() + 300 + 240 * scale + plan.events / 50
    # What the driver's messages left to wait is pushed by Pub/Sub.
    while (not running.done() or stage.remainders_waiting) and time.time() < give_up_at:
        if to_come and driver.acked_events >= to_come[0].at_share * plan.events:
            incident = to_come.pop(0)
            watcher.says(f"{incident.name}" + (f", for {incident.lasts_s:.0f} s" if incident.lasts_s > 1 else ""))
            began = timeline.now
            await asyncio.to_thread(incident.begin, stage)
            await asyncio.sleep(incident.lasts_s)
            await asyncio.to_thread(incident.end, stage)
            timeline.bands.append(Band(incident.name, began, timeline.now))
        driver.hold_at = (to_come[0].at_share + _AHEAD) * plan.events if to_come else math.inf
        await asyncio.sleep(_TICK_S)
        watcher.progress(driver.acked_events)
    driver.stop()
    await asyncio.wait({running}, timeout=_ACK_DEADLINE_S)
    watching.cancel()
    watcher.says("settling the account")
    dead_letters = await asyncio.to_thread(stage.dead_letters)
    await asyncio.to_thread(stage.finish)
    dead_letters += await asyncio.to_thread(stage.dead_letters)
    if running.done():
        running.result()
    drive = driver.drive
    numbers = driver.number_of if isinstance(driver, EmulatorDriver) else {}
    evidence = _evidence(plan, stage, drive, dead_letters, numbers)
    waits = tuple(sorted(drive.acked[number] - drive.published[number] for number in drive.acked))
    answers: dict[str, int] = {}
    for request in stage.x.seen:
        name = f"{request.status or 'dropped'}"
        answers[name] = answers.get(name, 0) + 1
    return MixReport(
        seed=plan.seed,
        through=stage.pubsub.title if numbers else "a driver that pushes like Pub/Sub",
        seconds=timeline.now,
        account=settle(evidence),
        timeline=timeline,
        waits_s=waits,
        answers=dict(sorted(drive.answers.items())),
        x_answers=dict(sorted(answers.items())),
        restarts=len(stage.instances) - 1,
        remainders=stage.log.remainders,
        handed_over=stage.log.handed_over,
    )


def _evidence(
    plan: Plan, stage: Stage, drive: Drive, dead_letters: list[SeenDeadLetter], numbers: Mapping[str, int]
) -> Evidence:
    """Put everything together; `numbers` are the messages' by the ids that the emulator gave them."""
    skipped = {number: stage.log.skipped[int(message_id)] for message_id, number in numbers.items()}
    messages = {number: plan.message(number) for number in drive.published}
    return Evidence(
        ends={number: message.ends for number, message in messages.items()},
        duplicated=frozenset(number for number, message in messages.items() if message.again),
        drive=drive,
        requests=stage.x.seen,
        acceptances=stage.x.acceptances,
        pauses=stage.x.pauses,
        instances=stage.instances,
        dead_letters=dead_letters,
        skipped=skipped or stage.log.skipped,
        logged=stage.log.requests,
        rate_events=RATE_EVENTS,
        rate_window_s=RATE_WINDOW_S,
        request_timeout_s=REQUEST_TIMEOUT_S,
        settle_timeout_s=_SETTLE_TIMEOUT_S,
        alarms=stage.log.alarms,
        leaks=stage.log.leaks,
    )
