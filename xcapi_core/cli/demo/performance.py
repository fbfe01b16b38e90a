"""The performance: each act is published, watched until every event has ended, and accounted for."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from xcapi_core.cli.demo.account import AcceptedConversion, Account, settle_accounts
from xcapi_core.cli.demo.planned import Act, Skipped
from xcapi_core.cli.demo.stage import Stage
from xcapi_core.cli.demo.story import EXAMPLE_ID
from xcapi_core.sandbox.services.pubsub import DeadLetter

__all__ = ["ActReport", "Audience", "Example", "Report", "perform"]

_ACT_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.05
# Long enough for a duplicate or a stray dead letter to arrive.
_AFTERMATH_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ActReport:
    """How one act went. `answers` counts X's answers by status; 0 is a connection that was dropped."""

    title: str
    events: int
    settled: int
    requests: int
    answers: Mapping[int, int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One message, and the request it became, its secrets masked."""

    message: bytes = field(repr=False)
    request_line: str
    headers: Mapping[str, str]
    conversion: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole run; it went well if there are no `problems`."""

    pubsub: str
    notes: tuple[str, ...]
    acts: tuple[ActReport, ...]
    account: Account
    problems: tuple[str, ...]
    example: Example | None
    secret_reads: int
    seconds: float

    @property
    def events(self) -> int:
        """How many events were published."""
        return sum(act.events for act in self.acts)

    @property
    def requests(self) -> int:
        """How many requests X got."""
        return sum(act.requests for act in self.acts)


class Audience(Protocol):
    """Who watches."""

    def act_begins(self, act: Act) -> None:
        """Hear that an act begins."""

    def settled(self, act: Act, count: int) -> None:
        """Hear how many of the act's events have ended so far."""

    def act_ends(self, report: ActReport) -> None:
        """Hear how the act went."""


@dataclass(slots=True)
class _SeenSoFar:
    """What X accepted, the dead letters that were pulled, and the skipped events that the log counts, by act."""

    accepted: list[AcceptedConversion] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def look(self, stage: Stage) -> None:
        """Look again, and wait a moment where there is nothing new."""
        self.dead_letters += stage.pubsub.pull(stage.path.dead_letter_subscription, timeout_s=_POLL_S)
        # Reading all of them again takes time from the function that is being watched.
        if stage.sandbox.counts()["accepted"] != len(self.accepted):
            self.accepted = stage.accepted()

    def account(self, acts: Sequence[Act]) -> Account:
        """Account for the events of `acts`."""
        return settle_accounts(acts, self.accepted, self.dead_letters, self.skipped)


def perform(stage: Stage, acts: Sequence[Act], audience: Audience, *, timeout_s: float) -> Report:
    """Play every act, within `timeout_s` altogether, and account for every event."""
    begun = time.monotonic()
    deadline = begun + timeout_s
    seen = _SeenSoFar()
    played: list[ActReport] = []
    problems: list[str] = []
    for act in acts:
        if time.monotonic() >= deadline:
            problems.append(f"The time of {timeout_s:g} s was over before “{act.title}”.")
            break
        played.append(_play(stage, act, seen, audience, deadline))
        if stage.function.exit_code is not None:
            problems.append(_function_ended(stage))
            break
    time.sleep(_AFTERMATH_S)
    seen.look(stage)
    account = seen.account(acts[: len(played)])
    if early := stage.sandbox.counts()["early_requests"]:
        problems.append(f"X got {early} requests before the time that it had named.")
    return Report(
        pubsub=stage.pubsub.title,
        notes=stage.notes,
        acts=tuple(played),
        account=account,
        problems=(*problems, *account.problems),
        example=_example(stage, acts),
        secret_reads=stage.secret_manager.access_calls,
        seconds=time.monotonic() - begun,
    )


def _play(stage: Stage, act: Act, seen: _SeenSoFar, audience: Audience, deadline: float) -> ActReport:
    begun = time.monotonic()
    begun_at = time.time()
    audience.act_begins(act)
    stage.sandbox.clear_faults()
    if act.faults:
        stage.sandbox.inject(*act.faults)
    if act.rotates_keys:
        stage.rotate_keys()
    message_ids = {stage.pubsub.publish(stage.path.topic, m.data, m.attributes) for m in act.messages}
    settled = 0
    until = min(deadline, begun + _ACT_TIMEOUT_S)
    while settled < len(act.events) and time.monotonic() < until and stage.function.exit_code is None:
        seen.look(stage)
        if any(isinstance(event.expected, Skipped) for event in act.events):
            seen.skipped[act.title] = stage.skipped(message_ids)
        settled = seen.account([act]).settled[act.title]
        audience.settled(act, settled)
    requests = stage.requests_since(begun_at)
    report = ActReport(
        title=act.title,
        events=len(act.events),
        settled=settled,
        requests=len(requests),
        answers=Counter(request.status for request in requests),
        seconds=time.monotonic() - begun,
    )
    audience.act_ends(report)
    return report


def _function_ended(stage: Stage) -> str:
    last_words = next((line for line in reversed(stage.function.lines) if line.strip()), "none")
    return f"The function ended with exit code {stage.function.exit_code}; its last words: {last_words}"


def _example(stage: Stage, acts: Sequence[Act]) -> Example | None:
    sent = next((m for act in acts for m in act.messages if m.events[0].conversion_id == EXAMPLE_ID), None)
    record = next((r for r in stage.sandbox.accepted() if r["conversion_id"] == EXAMPLE_ID), None)
    if sent is None or record is None:
        return None
    request = next(r for r in stage.requests_since(0) if r.request_id == record["request_id"])
    return Example(
        message=sent.data,
        request_line=f"{request.method} {request.path}",
        headers=request.headers,
        conversion=record["conversion"],
    )
