"""X in a process of its own, so that it has a processor of its own: the sandbox, with a budget for each account."""

import multiprocessing
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import msgspec

from tests.scale.accounts import AccountsConfig, Counted, Plan
from xcapi_core.sandbox.recorder import ConversionRecord, Recorder, RequestRecord
from xcapi_core.sandbox.server import SandboxServer

__all__ = ["Seen", "XProcess"]


@dataclass(slots=True)
class Seen:
    """What X saw. `times[n]` is how often it took event `n`; `latest_at` when it last took one, in epoch seconds."""

    times: bytearray
    counted: list[Counted] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    latest_at: float = 0.0


class _Conversion(msgspec.Struct):
    conversion_id: str


class _Body(msgspec.Struct):
    conversions: list[_Conversion]


_bodies = msgspec.json.Decoder(_Body)


class _Recorder(Recorder):
    """Counts how often each event was taken: the sandbox's own records hold every body."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(keep_conversions=1, keep_bytes=1)
        self._seen = seen

    def add_conversions(self, records: Iterable[ConversionRecord]) -> None:
        """Note each event that was taken; the whole of a batch is, or nothing."""
        first = next(iter(records))
        if first.verdict == "accepted":
            for conversion in _bodies.decode(first.body).conversions:
                self._seen.times[int(conversion.conversion_id[1:])] += 1


class XProcess:
    """A context manager: while it is open, X answers at `url`. Event `n` has the conversion id `cN`."""

    def __init__(self, plan: Plan) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._ours, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_run, args=(theirs, plan), daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._process.start()
        self.url = self._ours.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()

    def seen(self) -> Seen:
        """Return what X saw so far."""
        self._ours.send(None)
        seen = self._ours.recv()
        assert isinstance(seen, Seen)
        return seen


def _run(connection: Connection, plan: Plan) -> None:
    seen = Seen(bytearray(plan.events))
    config = AccountsConfig(
        pixels_per_account=plan.pixels_per_account, events_per_window=plan.budget, window_s=plan.window_s
    )

    def note(record: RequestRecord) -> None:
        seen.statuses[record.status] += 1
        if record.accepted:
            seen.counted.append(Counted(record.received_at, plan.account_of(int(record.pixel_id[1:])), record.accepted))
            seen.latest_at = record.received_at + record.duration_ms / 1000

    with SandboxServer(config, on_request=note) as sandbox:
        sandbox.engine.recorder = _Recorder(seen)
        connection.send(sandbox.url)
        while True:
            connection.recv()
            connection.send(seen)
