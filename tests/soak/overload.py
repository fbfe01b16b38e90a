"""Overload: a backlog of a million events at a function that may send 600 a second, and then X that takes 10 s."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.soak.clients_view import pair
from tests.soak.driver import Driver, Nack, Redelivery
from tests.soak.limits import early_requests, peaks
from tests.soak.plan import Backlog
from tests.soak.stage import PATH, Stage, open_stage
from tests.soak.timeline import Timeline
from tests.soak.watching import Watcher
from xcapi_core.sandbox.config import SandboxConfig

__all__ = ["BACKLOG_EVENTS", "RATE_EVENTS", "RATE_WINDOW_S", "Round", "run_overload"]

BACKLOG_EVENTS: Final = 1_000_000
RATE_EVENTS: Final = 6_000
RATE_WINDOW_S: Final = 10.0
_PIXEL: Final = "o8z6j"
_BATCH: Final = {"max_conversions": 500, "max_in_flight": 4}
_SLOW_S: Final = 10.0
# Cloud Run's 512 MiB instance.
MEMORY_LIMIT_MB: Final = 512.0
_LEAST_SHARE: Final = 0.8
_LEAST_OFFERED: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One kind of overload. `limit_events` is what X lets through in a window; `windows` what it took in each."""

    title: str
    offered_events: int
    seconds: float
    limit_events: int
    fullest: int
    windows: Sequence[int]
    repeated: int
    early: int
    answers: dict[str, int]
    nacks: Sequence[Nack]
    timeline: Timeline
    alarms: dict[str, int]
    leaks: int

    @property
    def share(self) -> float:
        """What X took, of what its limit allows: over the whole windows after the first, in which all is empty."""
        whole = self.windows[1:]
        return sum(whole) / (self.limit_events * len(whole)) if whole else 0.0

    @property
    def offered_times(self) -> float:
        """How many times the rate budget the driver offered."""
        return self.offered_events / self.seconds * RATE_WINDOW_S / RATE_EVENTS

    @property
    def at_once_s(self) -> Sequence[float]:
        """How long each nack of what did not fit into memory took, sorted."""
        return sorted(nack.seconds for nack in self.nacks if nack.reason == "429 memory_full")

    @property
    def problems(self) -> Sequence[str]:
        """What should not be so."""
        found = [f"the log says {name} {count:,} times" for name, count in self.alarms.items()]
        if self.leaks:
            found.append(f"{self.leaks:,} lines of the log hold something of a person or a key")
        if self.fullest > RATE_EVENTS:
            found.append(f"{self.fullest:,} events within {RATE_WINDOW_S:g} s, {RATE_EVENTS:,} are configured")
        if self.share < _LEAST_SHARE:
            found.append(f"X took {self.share:.0%} of what it would have, less than {_LEAST_SHARE:.0%}")
        if self.offered_times < _LEAST_OFFERED:
            found.append(f"only {self.offered_times:.1f} times the budget was offered: the driver was too slow")
        if self.repeated:
            found.append(f"{self.repeated:,} events were delivered twice")
        if self.early:
            found.append(f"{self.early:,} requests were sent during a pause")
        if (self.timeline.most_memory_mb or 0) > MEMORY_LIMIT_MB:
            found.append(f"{self.timeline.most_memory_mb:.0f} MB were held, more than {MEMORY_LIMIT_MB:.0f}")
        # For want of memory or of budget, whichever is short first: a fast instance never holds what it cannot send.
        if not any(answer.startswith("429") for answer in self.answers):
            found.append("nothing was nacked with 429: this was no overload")
        for answer, count in self.answers.items():
            if answer.startswith(("400", "500")):
                found.append(f"{count:,} deliveries ended with {answer}")
        return found


def run_overload(*, seconds: float, watcher: Watcher, keep_log: Path | None = None) -> list[Round]:
    """Run both rounds, so many seconds each. Raises LocalServiceError when a component cannot be had."""
    rounds = []
    with _stage(watcher, keep_log, request_timeout_s=5.0, settle_timeout_s=30.0) as stage:
        stage.x.inject({"latency_s": 0.1})
        rounds.append(asyncio.run(_offer(stage, "ten times the budget, a backlog of a million", seconds, watcher)))
    # Four requests of 500 at a time are all that a batcher has under way.
    limit = int(min(RATE_EVENTS, _BATCH["max_conversions"] * _BATCH["max_in_flight"] * RATE_WINDOW_S / _SLOW_S))
    with _stage(watcher, keep_log, request_timeout_s=15.0, settle_timeout_s=50.0) as stage:
        stage.x.inject({"latency_s": _SLOW_S})
        rounds.append(
            asyncio.run(_offer(stage, "the same, and X takes 10 s a request", seconds, watcher, limit_events=limit))
        )
    return rounds


@contextmanager
def _stage(
    watcher: Watcher, keep_log: Path | None, *, request_timeout_s: float, settle_timeout_s: float
) -> Iterator[Stage]:
    with open_stage(
        x=SandboxConfig(events_per_window=RATE_EVENTS, window_s=RATE_WINDOW_S),
        keep_log=keep_log,
        on_install=watcher.install,
        rate={"events": RATE_EVENTS, "window_s": RATE_WINDOW_S},
        batch=_BATCH,
        request_timeout_s=request_timeout_s,
        settle_timeout_s=settle_timeout_s,
    ) as stage:
        yield stage


async def _offer(
    stage: Stage, title: str, seconds: float, watcher: Watcher, *, limit_events: int = RATE_EVENTS
) -> Round:
    driver = Driver(
        Backlog(BACKLOG_EVENTS),
        url=lambda: stage.url,
        subscription=PATH.subscription,
        # 25 packs of 500 a second are twenty times the budget.
        rules=Redelivery(ack_deadline_s=70, max_backoff_s=4.0, at_once=200, outstanding=BACKLOG_EVENTS, a_second=25),
    )
    timeline = Timeline()
    watcher.begins(round(seconds), f"seconds: {title}")
    running = asyncio.create_task(driver.run())
    watching = asyncio.create_task(
        timeline.watch(stage.memory_mb, lambda: driver.oldest_wait_s, lambda: len(stage.x.acceptances))
    )
    while timeline.now < seconds and not running.done():
        await asyncio.sleep(0.2)
        watcher.progress(round(timeline.now))
    ended_at = time.time()
    offered = driver.offered_events
    driver.stop()
    watching.cancel()
    running.cancel()
    await asyncio.wait({running})
    await asyncio.to_thread(stage.finish)
    seen = [request for request in stage.x.seen if request.received_at <= ended_at]
    fullest = max((peak.of_one_instance for peak in peaks(seen, stage.instances, RATE_WINDOW_S)), default=0)
    times = Counter(acceptance.event for acceptance in stage.x.acceptances)
    early = early_requests(seen, stage.x.pauses, stage.instances, pair(seen, stage.log.requests))
    return Round(
        title=title,
        offered_events=offered,
        seconds=ended_at - timeline.begun_at,
        limit_events=limit_events,
        fullest=fullest,
        windows=_windows(stage, timeline.begun_at, ended_at),
        repeated=sum(count - 1 for count in times.values()),
        early=len(early),
        answers=dict(sorted(driver.answers.items())),
        nacks=driver.nacks,
        timeline=timeline,
        alarms=dict(stage.log.alarms),
        leaks=stage.log.leaks,
    )


def _windows(stage: Stage, begun_at: float, ended_at: float) -> list[int]:
    """Return the events that X took in each whole window since the first request."""
    first = min((request.received_at for request in stage.x.seen), default=begun_at)
    taken = [0] * int((ended_at - first) // RATE_WINDOW_S)
    for request in stage.x.seen:
        window = int((request.received_at - first) // RATE_WINDOW_S)
        if request.status == 200 and window < len(taken):
            taken[window] += request.conversions
    return taken
