"""The sandbox, watched: every request, which events it took in which, and when it told whom to wait."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from tests.soak.evidence import Acceptance, Pause, SeenRequest
from tests.soak.plan import event_key
from xcapi_core.sandbox.answers import Answer
from xcapi_core.sandbox.config import SandboxConfig
from xcapi_core.sandbox.patience import Patience
from xcapi_core.sandbox.recorder import ConversionRecord, Recorder, RequestRecord
from xcapi_core.sandbox.server import SandboxServer

__all__ = ["WatchedX"]

_FEW = 1_000


class _Conversion(msgspec.Struct):
    conversion_id: str = ""


class _Body(msgspec.Struct):
    conversions: list[_Conversion]


_bodies = msgspec.json.Decoder(_Body)


class _Recorder(Recorder):
    """Keeps the ids alone of what was taken: the sandbox's own records hold every body."""

    def __init__(self, acceptances: list[Acceptance]) -> None:
        super().__init__(keep_conversions=_FEW, keep_bytes=1 << 24)
        self._acceptances = acceptances

    def add_conversions(self, records: Iterable[ConversionRecord]) -> None:
        """Note each event that was taken."""
        records = list(records)
        super().add_conversions(records)
        taken = [record for record in records if record.verdict == "accepted"]
        if taken:
            conversions = _bodies.decode(taken[0].body).conversions
            self._acceptances += (
                Acceptance(event_key(conversions[record.index].conversion_id), record.request_id) for record in taken
            )


class _Pauses(Patience):
    """Remembers every time that was named."""

    def __init__(self, pauses: list[Pause]) -> None:
        super().__init__()
        self._pauses = pauses

    def hear(self, pixel_id: str, answer: Answer, now: float) -> None:
        """Record the pause that an answer asks for, if any."""
        alone = Patience()
        alone.hear(pixel_id, answer, now)
        told = alone._told.get(pixel_id)
        if told:
            self._pauses.append(Pause(pixel_id, *told))
        super().hear(pixel_id, answer, now)


class WatchedX(SandboxServer):
    """A SandboxServer that keeps what the account needs."""

    def __init__(self, config: SandboxConfig) -> None:
        self.seen: list[SeenRequest] = []
        self.acceptances: list[Acceptance] = []
        self.pauses: list[Pause] = []
        self._asked: list[Pause] = []
        super().__init__(config, on_request=self._note)
        self.engine.recorder = _Recorder(self.acceptances)
        self.engine.patience = _Pauses(self._asked)

    def _note(self, record: RequestRecord) -> None:
        # An answer is heard of, then its request, in one turn of the sandbox's loop.
        self.pauses += (replace(pause, request_id=record.request_id) for pause in self._asked)
        self._asked.clear()
        # What the sandbox itself refuses for its budget it did not count.
        counted = 0 if record.status == 429 and not record.fault else record.conversions
        self.seen.append(
            SeenRequest(
                request_id=record.request_id,
                pixel_id=record.pixel_id,
                received_at=record.received_at,
                answered_at=record.received_at + record.duration_ms / 1000,
                status=record.status,
                conversions=counted,
                fault=record.fault,
            )
        )
