"""What is looked at before anything is sent: that each unit holds events, and, with a configuration, sendable ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from xcapi_core.cli.files import NO_EVENT, Chunk
from xcapi_core.cli.validate.verdicts import judge
from xcapi_core.events.splitting import Unreadable, split_message
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import Settings

__all__ = ["OLD_AFTER", "Checked", "Checker"]

# X drops a repetition within 48 h; what is older may be counted twice.
OLD_AFTER: Final = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Checked:
    """How many events a unit holds, and why it should not be published, "" where it may."""

    events: int
    problem: str = ""
    is_old: bool = False


class Checker:
    """Checks units, each as the message that it could be."""

    def __init__(self, settings: Settings | None, attributes: Mapping[str, str], *, allow_old: bool) -> None:
        self._settings = settings
        self._attributes = attributes
        self._allow_old = allow_old
        # One time for both passes: what grows old while the others are sent was checked, and is not left out unsaid.
        self.now = datetime.now(UTC)

    def check(self, unit: Chunk) -> Checked:
        """Look at one unit; with a configuration as `validate` does."""
        if unit.problem:
            return Checked(0, unit.problem)
        if self._settings is None:
            return self._readable(unit)
        events = 0
        for verdict in judge(unit, "", self._settings, self._attributes, self.now):
            events += 1
            if not verdict.is_well:
                return Checked(0, f"{verdict.end}: {verdict.detail or verdict.why}")
            when = (verdict.conversion or {}).get("conversion_time")
            if not self._allow_old and isinstance(when, str) and self.now - datetime.fromisoformat(when) > OLD_AFTER:
                return Checked(events, "older than 48 h, so that X may count it twice (--allow-old)", is_old=True)
        return Checked(events, "" if events else NO_EVENT)

    def _readable(self, unit: Chunk) -> Checked:
        split = split_message(
            PubsubMessage(
                message_id=unit.message_id,
                publish_time=unit.publish_time,
                data=unit.data,
                attributes={**self._attributes, **unit.attributes},
                subscription="",
                ordering_key="",
                delivery_attempt=None,
            )
        )
        if isinstance(split, Unreadable):
            return Checked(0, str(split.problem))
        lone = unit.data.strip()[:1]
        if len(split.events) == 1 and lone not in (b"{", b"[", b"\x1f"):
            return Checked(0, "no JSON object")
        return Checked(len(split.events), "" if split.events else NO_EVENT)
