"""What Pub/Sub, Cloud Monitoring and the function's log say of the last while, each where it can be asked."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from xcapi_core.cli.google.clients import new_publisher
from xcapi_core.cli.google.errors import GOOGLE_ERRORS, brief_retry, sentence
from xcapi_core.cli.google.monitoring import OLDEST_AGE_S, WAITING, newest_values
from xcapi_core.cli.log.cloud import OF_THE_FUNCTION, CloudLog, one_of, since_filter
from xcapi_core.cli.log.lines import LogLine
from xcapi_core.outcomes import DeadLetterReason
from xcapi_core.settings import Settings

__all__ = ["Queue", "Snapshot", "gather"]

_TIMEOUT_S: Final = 15.0
_MOST_LINES: Final = 20_000
_SUMMARIES: Final = ("delivery.settled", "delivery.deferred")
# What holds a pixel up, and what is said of it.
_PAUSES: Final = {
    "pixel.refuses_everything": "X refuses everything in the same words",
    "batch.unauthorized": "X refuses the keys",
    "credentials.unavailable": "the keys cannot be read",
}
_RECENTLY: Final = timedelta(minutes=5)
_TOO_MANY_REQUESTS: Final = 429
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One subscription. `waiting` and `oldest_s` are None where Monitoring does not tell."""

    what: str
    subscription: str
    waiting: int | None
    oldest_s: float | None

    def as_json(self) -> dict[str, object]:
        """Return the queue as `--json` prints it."""
        return {
            "queue": self.what,
            "subscription": self.subscription,
            "waiting": self.waiting,
            "oldest_s": self.oldest_s,
        }


@dataclass(slots=True)
class Snapshot:
    """How things stand. `troubles` are sentences about what could not be asked.

    Where the log could not, what it tells (all from `delivered` to `is_dry_run`) is unknown, and left as it begins.
    """

    since: timedelta
    has_log: bool = True
    queues: list[Queue] = field(default_factory=list)
    delivered: int = 0
    deferred: int = 0
    last_delivery: datetime | None = None
    dead_letters: Counter[str] = field(default_factory=Counter)
    pauses: dict[str, str] = field(default_factory=dict)
    is_dry_run: bool = False
    troubles: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the summary as `--json` prints it: null is unknown."""
        told_by_log: dict[str, object] = {
            "delivered": self.delivered,
            "deferred": self.deferred,
            "last_delivery": self.last_delivery.isoformat() if self.last_delivery else None,
            "dead_letters": dict(self.dead_letters),
            "pauses": self.pauses,
            "dry_run": self.is_dry_run,
        }
        if not self.has_log:
            told_by_log = dict.fromkeys(told_by_log)
        return {"since_s": self.since.total_seconds(), **told_by_log, "troubles": self.troubles}


def gather(
    settings: Settings, project: str, since: timedelta, *, topic: str | None, subscription: str | None
) -> Snapshot:
    """Ask every service; a refusal becomes a trouble, and what the others say is shown all the same.

    `topic` and `subscription` are those of the events; the topic's subscriptions count where the latter is None.
    """
    snapshot = Snapshot(since)

    def ask(what: str, question: Callable[[], _Found]) -> _Found | None:
        try:
            return question()
        except GOOGLE_ERRORS as error:
            snapshot.troubles.append(sentence(error, what))
            return None

    names = [("events", subscription)] if subscription else []
    topics = {
        "events": None if subscription else topic,
        "remainders": settings.remainder_topic,
        "dead letters": settings.dead_letter_topic,
    }
    for what, one in topics.items():
        if one and one.startswith("projects/"):
            found = ask(f"The subscriptions of {one}", partial(_subscriptions, one))
            names += [(what, name) for name in found or ()]
    waiting = ask("Cloud Monitoring", partial(newest_values, project, WAITING)) or {}
    oldest = ask("Cloud Monitoring", partial(newest_values, project, OLDEST_AGE_S)) if waiting else None
    for what, name in names:
        short = name.rpartition("/")[2]
        count = waiting.get(short)
        number = None if count is None else int(count)
        snapshot.queues.append(Queue(what=what, subscription=name, waiting=number, oldest_s=(oldest or {}).get(short)))
    now = datetime.now(UTC)
    log = CloudLog(project)
    events = one_of(
        "jsonPayload.event", (*_SUMMARIES, *_PAUSES, "batch.delivered", "batch.deferred", "service.dry_run")
    )
    query = "\n".join((OF_THE_FUNCTION, since_filter(now - since), events))
    lines = ask("Cloud Logging", lambda: list(log.lines(query, newest_first=True, most=_MOST_LINES)))
    if lines is None:
        snapshot.has_log = False
        return snapshot
    for line in lines:
        _count(snapshot, line, now)
    if len(lines) == _MOST_LINES:
        snapshot.troubles.append(f"The log has more lines than {_MOST_LINES:,}: the counts are of the newest.")
    return snapshot


def _subscriptions(topic: str) -> list[str]:
    return sorted(
        new_publisher().list_topic_subscriptions(request={"topic": topic}, retry=brief_retry(), timeout=_TIMEOUT_S)
    )


def _count(snapshot: Snapshot, line: LogLine, now: datetime) -> None:
    """Take one line, newest first."""
    pixel_id = line.text("pixel_id") or "-"
    is_recent = line.time is not None and now - line.time < _RECENTLY
    if line.event in _SUMMARIES:
        snapshot.delivered += int(line.number("delivered"))
        snapshot.deferred += int(line.number("deferred"))
        for reason in DeadLetterReason:
            if count := int(line.number(reason.value)):
                snapshot.dead_letters[reason.value] += count
    elif line.event == "batch.delivered":
        snapshot.last_delivery = snapshot.last_delivery or line.time
        # What came after it, newest first, has been seen; what is older than a delivery of the pixel is over.
        snapshot.pauses.setdefault(pixel_id, "")
    elif line.event == "service.dry_run":
        snapshot.is_dry_run = True
    elif line.event in _PAUSES and is_recent:
        snapshot.pauses.setdefault(pixel_id, _PAUSES[line.event])
    elif line.event == "batch.deferred" and is_recent:
        limited = int(line.number("http_status")) == _TOO_MANY_REQUESTS
        snapshot.pauses.setdefault(pixel_id, "X's rate limit" if limited else "X is unwell or unreachable")
