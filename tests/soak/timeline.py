"""How it went over time: memory, waits, and what happened when."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Band", "Sample", "Timeline"]

_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment, `at` seconds from the start. `memory_mb` is None between two instances."""

    at: float
    memory_mb: float | None
    oldest_wait_s: float
    events: int


@dataclass(frozen=True, slots=True)
class Band:
    """An incident, from when to when."""

    name: str
    begins: float
    ends: float


@dataclass(slots=True)
class Timeline:
    """Samples and bands; `begun_at` is epoch seconds."""

    begun_at: float = field(default_factory=time.time)
    samples: list[Sample] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.time() - self.begun_at

    @property
    def most_memory_mb(self) -> float | None:
        """The largest sample."""
        return max((one.memory_mb for one in self.samples if one.memory_mb is not None), default=None)

    async def watch(
        self, memory_mb: Callable[[], float | None], oldest_wait_s: Callable[[], float], events: Callable[[], int]
    ) -> None:
        """Take samples until cancelled."""
        while True:
            memory = await asyncio.to_thread(memory_mb)
            self.samples.append(Sample(self.now, memory, oldest_wait_s(), events()))
            await asyncio.sleep(_EVERY_S)
