"""The account: published = delivered + dead-lettered + skipped, nothing lost, a cause for every repetition. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from tests.soak.clients_view import pair
from tests.soak.evidence import Acceptance, End, EventKey, Evidence, LoggedRequest, SeenDeadLetter, SeenRequest
from tests.soak.limits import Early, Peak, early_requests, instance_at, peaks

__all__ = ["Account", "Repetition", "settle"]

_Seen = TypeVar("_Seen", Acceptance, SeenDeadLetter)

# Part of the time-out is spent on the way: signing, and a thread's turn on a busy machine.
_ON_THE_WAY_S = 0.5
_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Repetition:
    """An event that reached its end once more, and what explains it; `cause` "" is nothing."""

    event: EventKey
    what: str
    cause: str
    seen: str = ""  # what is known of both times


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The figures; it balances when `problems` is empty. Counts are of events unless they say otherwise."""

    published: int
    messages: int
    delivered: int
    dead_lettered: Mapping[str, int]
    skipped: int
    waiting: int
    lost: int
    repetitions: Sequence[Repetition]
    early: Sequence[Early]
    peaks: Sequence[Peak]
    problems: Sequence[str] = field(default=())

    @property
    def balances(self) -> bool:
        """Whether every event is where it has to be, and every rule was kept."""
        return not self.problems

    @property
    def causes(self) -> Mapping[str, int]:
        """The repetitions, counted by what and why."""
        return Counter(f"{one.what}: {one.cause or 'UNEXPLAINED'}" for one in self.repetitions)


@dataclass(slots=True)
class _Tally:
    delivered: int = 0
    skipped: int = 0
    waiting: int = 0
    dead_lettered: Counter[str] = field(default_factory=Counter)
    wrong: defaultdict[str, list[EventKey]] = field(default_factory=lambda: defaultdict(list))
    lost: list[EventKey] = field(default_factory=list)


def settle(evidence: Evidence) -> Account:
    """Look for each published event where it has to be, and for everything that has no right to be there."""
    accepted = _by_event(evidence.acceptances)
    dead_letters = _by_event(evidence.dead_letters)
    tally = _Tally()
    for number in evidence.drive.published:
        _count_message(evidence, number, accepted, dead_letters, tally)
    strangers = [key for key in (*accepted, *dead_letters) if key[0] not in evidence.drive.published]
    lines = pair(evidence.requests, evidence.logged)
    repetitions = list(_repetitions(evidence, accepted, dead_letters, lines))
    early = early_requests(evidence.requests, evidence.pauses, evidence.instances, lines)
    fullest = peaks(evidence.requests, evidence.instances, evidence.rate_window_s)
    return Account(
        published=sum(len(evidence.ends[number]) for number in evidence.drive.published),
        messages=len(evidence.drive.published),
        delivered=tally.delivered,
        dead_lettered=dict(tally.dead_lettered),
        skipped=tally.skipped,
        waiting=tally.waiting,
        lost=len(tally.lost),
        repetitions=repetitions,
        early=early,
        peaks=fullest,
        problems=list(
            _problems(
                evidence, tally, strangers=strangers, repetitions=repetitions, early=early, fullest=fullest, lines=lines
            )
        ),
    )


def _by_event(seen: Iterable[_Seen]) -> dict[EventKey, list[_Seen]]:
    found: defaultdict[EventKey, list[_Seen]] = defaultdict(list)
    for one in seen:
        found[one.event].append(one)
    return found


def _count_message(
    evidence: Evidence,
    number: int,
    accepted: Mapping[EventKey, Sequence[Acceptance]],
    dead_letters: Mapping[EventKey, Sequence[SeenDeadLetter]],
    tally: _Tally,
) -> None:
    """Put each of a message's events where it was seen; lost is what was acked and is nowhere."""
    ends = evidence.ends[number]
    acked = number in evidence.drive.acked
    logged = evidence.skipped.get(number, 0) >= sum(end is End.SKIPPED for end in ends)
    for index, end in enumerate(ends):
        key = (number, index)
        at_x, dead_letter = bool(accepted.get(key)), next(iter(dead_letters.get(key, ())), None)
        if at_x and dead_letter:
            tally.wrong["both at X and in the dead-letter topic"].append(key)
        elif at_x:
            tally.delivered += 1
            if end is not End.DELIVERED:
                tally.wrong[f"delivered instead of {end}"].append(key)
        elif dead_letter:
            tally.dead_lettered[dead_letter.reason] += 1
            if dead_letter.reason != end:
                tally.wrong[f"dead-lettered as {dead_letter.reason} instead of {end}"].append(key)
        elif not acked:
            tally.waiting += 1
        elif end is End.SKIPPED and logged:
            tally.skipped += 1
        else:
            tally.lost.append(key)


def _repetitions(
    evidence: Evidence,
    accepted: Mapping[EventKey, Sequence[Acceptance]],
    dead_letters: Mapping[EventKey, Sequence[SeenDeadLetter]],
    lines: Mapping[int, LoggedRequest],
) -> Iterator[Repetition]:
    """Yield every time but the last that an event reached its end, with what happened to that one's answer."""
    by_id = {request.request_id: request for request in evidence.requests}
    for key, times in accepted.items():
        carriers = sorted((by_id[one.request_id] for one in times), key=lambda request: request.received_at)
        for earlier, later in pairwise(carriers):
            cause = _lost_answer(earlier, lines.get(earlier.request_id), evidence.request_timeout_s) or _restart(
                evidence, key, earlier.received_at, later.received_at
            )
            yield Repetition(
                key, "delivered again", cause, " then ".join(_seen(evidence, lines, one) for one in (earlier, later))
            )
    for key, posted in dead_letters.items():
        moments = sorted(dead_letter.failed_at for dead_letter in posted)
        for before, after in pairwise(moments):
            yield Repetition(key, "dead-lettered again", _restart(evidence, key, before, after))


def _seen(evidence: Evidence, lines: Mapping[int, LoggedRequest], request: SeenRequest) -> str:
    """Say what both sides know of a request."""
    at = instance_at(evidence.instances, request.received_at)
    born_at = evidence.instances[max(at, 0)].started_at
    line = lines.get(request.request_id)
    return (
        f"{request.status} for {request.conversions} after {request.answered_at - request.received_at:.3f} s, "
        f"{request.received_at - born_at:.3f} s into instance {at}, "
        + (f"logged as {line.status}, started at {line.started_at - born_at:.3f} s" if line else "not in the log")
    )


def _lost_answer(request: SeenRequest, line: LoggedRequest | None, timeout_s: float) -> str:
    if request.status == 0:
        return "X dropped the connection after it had counted them"
    if request.answered_at - request.received_at >= timeout_s - _ON_THE_WAY_S:
        return "X answered after the time-out"
    if line is not None and not line.status:
        return "the time-out was over on the way, as the log says"
    return ""


def _restart(evidence: Evidence, key: EventKey, before: float, after: float) -> str:
    """Name the cause where another instance saw the event again; what the README's Limits do not name is none."""
    at = instance_at(evidence.instances, before)
    if at < 0 or at == instance_at(evidence.instances, after):
        return ""
    if key[0] in evidence.duplicated:
        return "Pub/Sub delivered a duplicate to another instance"
    instance = evidence.instances[at]
    if instance.ended_by == "kill -9" and instance.ended_at - before <= evidence.settle_timeout_s:
        return "its delivery was open when kill -9 came"
    return ""


def _problems(
    evidence: Evidence,
    tally: _Tally,
    *,
    strangers: Sequence[EventKey],
    repetitions: Sequence[Repetition],
    early: Sequence[Early],
    fullest: Sequence[Peak],
    lines: Mapping[int, LoggedRequest],
) -> Iterator[str]:
    drive = evidence.drive
    if tally.lost:
        yield f"{len(tally.lost):,} events were acked and are nowhere: {_some(tally.lost)}"
    for what, keys in tally.wrong.items():
        yield f"{len(keys):,} events were {what}: {_some(keys)}"
    if unacked := [number for number in drive.published if number not in drive.acked]:
        yield f"{len(unacked):,} messages were never acked: {_some(unacked)}"
    if drive.exhausted:
        yield f"{len(drive.exhausted):,} messages used up their delivery attempts: {_some(drive.exhausted)}"
    if strangers:
        yield f"{len(strangers):,} events arrived that nobody published: {_some(strangers)}"
    if unexplained := [one for one in repetitions if not one.cause]:
        examples = _some([f"{one.event} {one.seen}".strip() for one in unexplained])
        yield f"{len(unexplained):,} events reached their end twice without a cause: {examples}"
    if rude := [one for one in early if not one.forgiven]:
        worst = max(one.early_s for one in rude)
        by_id = {request.request_id: request for request in evidence.requests}
        seen = _some([_seen(evidence, lines, by_id[one.request_id]) for one in rude])
        what = f"{len(rude):,} requests were sent during a pause"
        yield f"{what}, up to {worst:.2f} s before the time X had named: {seen}"
    for peak in fullest:
        if peak.of_one_instance > evidence.rate_events:
            yield (
                f"pixel {peak.pixel_id}: {peak.of_one_instance:,} events within {evidence.rate_window_s:g} s, "
                f"{evidence.rate_events:,} are configured"
            )
    for answer, count in drive.answers.items():
        if answer.startswith(("400", "500")):
            yield f"{count:,} deliveries were answered {answer}"
    for name, count in evidence.alarms.items():
        yield f"the log says {name} {count:,} times"
    if evidence.leaks:
        yield f"{evidence.leaks:,} lines of the log hold something of a person or a key"


def _some(things: Sequence[object]) -> str:
    return ", ".join(map(str, things[:_EXAMPLES])) + (" …" if len(things) > _EXAMPLES else "")
