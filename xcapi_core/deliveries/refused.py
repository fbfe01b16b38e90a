"""A delivery's refused events, until their dead letters are published, and the log lines that tell of them."""

from collections import defaultdict

from xcapi_core import logs
from xcapi_core.deliveries.dead_letters import RefusedEvent
from xcapi_core.outcomes import DeadLetterReason
from xcapi_core.pubsub import PubsubMessage

__all__ = ["RefusedEvents"]

# A message of 20,000 bad events is one mistake: so many lines show it, the summary counts the rest.
MAX_EVENT_LINES = 20


class RefusedEvents:
    """The events whose dead letters are due, and how many there were so far."""

    def __init__(self, message: PubsubMessage, naming: logs.HowToName) -> None:
        self._message = message
        self._naming: logs.HowToName = naming
        self._in_all: defaultdict[DeadLetterReason, int] = defaultdict(int)
        self._lines = 0
        self.due: list[RefusedEvent] = []

    def add(self, refused: RefusedEvent, **facts: str | int) -> bool:
        """Take a refused event, and log it with these facts: codes and ids, never X's words.

        Return whether it got a line of its own.
        """
        reason = refused.reason
        self.due.append(refused)
        self._in_all[reason] += 1
        if self._lines >= MAX_EVENT_LINES:
            return False
        self._lines += 1
        logs.emit_naming(
            "WARNING",
            f"event.{reason.value.removesuffix('_event').removesuffix('_message')}",
            [(refused.pixel_id, refused.conversion_id)] if refused.conversion_id else [],
            self._naming,
            reason=reason.value,
            message_id=self._message.loggable_id,
            event_index=-1 if refused.event_index is None else refused.event_index,
            **facts,
        )
        return True

    def take(self) -> list[RefusedEvent]:
        """Return the events whose dead letters are due, and forget them."""
        due, self.due = self.due, []
        return due

    def in_all(self, reason: DeadLetterReason) -> int:
        """Return how many events were refused for one reason so far."""
        return self._in_all[reason]
