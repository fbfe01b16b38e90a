"""Where every event ended, and whether that is where it should have. Pure."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xcapi_core.cli.demo.planned import Act, DeadLettered, Delivered, PlannedEvent, Skipped
from xcapi_core.sandbox.services.pubsub import DeadLetter

__all__ = ["AcceptedConversion", "Account", "EndedGroup", "settle_accounts"]

_PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedConversion:
    """One conversion that the sandbox accepted."""

    pixel_id: str
    conversion_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedGroup:
    """Events of one act that ended in the same way for the same reason."""

    act: str
    count: int
    end: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The whole account. `settled` counts, by act, the events that have ended; `problems` say what went wrong."""

    groups: tuple[EndedGroup, ...]
    settled: Mapping[str, int]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of one event: the pixels at which X accepted it, its dead letters, and whether skips add up."""

    pixels: Sequence[str]
    dead_letters: Sequence[DeadLetter]
    skipped: bool


def settle_accounts(
    acts: Sequence[Act],
    accepted: Iterable[AcceptedConversion],
    dead_letters: Iterable[DeadLetter],
    skipped: Mapping[str, int],
) -> Account:
    """Look for each event of `acts` among what X accepted and what was dead-lettered.

    An event is known by its conversion id, one without by its bytes. Skipped events leave no other trace than a
    count in the function's log: `skipped` has it by act. What nobody planned is a problem too.
    """
    pixels_of: defaultdict[str | bytes, list[str]] = defaultdict(list)
    dead_letters_of: defaultdict[str | bytes, list[DeadLetter]] = defaultdict(list)
    for conversion in accepted:
        pixels_of[conversion.conversion_id].append(conversion.pixel_id)
    for dead_letter in dead_letters:
        dead_letters_of[_conversion_id(dead_letter.data) or dead_letter.data].append(dead_letter)

    groups: Counter[tuple[str, str, str]] = Counter()
    settled: Counter[str] = Counter()
    problems: list[str] = []
    for act in acts:
        silent = sum(isinstance(event.expected, Skipped) for event in act.events)
        all_skipped = skipped.get(act.title, 0) == silent
        for event in act.events:
            seen = _Seen(pixels_of.pop(_key(event), ()), dead_letters_of.pop(_key(event), ()), skipped=all_skipped)
            end, why = _end(event, seen)
            settled[act.title] += end != "missing"
            groups[act.title, end, why] += 1
            problems += [f"{act.title}: “{event.label}” {problem}." for problem in _problems(event, seen)]
    problems += [f"X accepted a conversion that nobody sent: {key!s}." for key in pixels_of]
    problems += [f"A dead letter is none of the events sent: {len(rest)} like it." for rest in dead_letters_of.values()]
    return Account(
        groups=tuple(EndedGroup(act=act, count=n, end=end, why=why) for (act, end, why), n in groups.items()),
        settled=settled,
        problems=_shortened(problems),
    )


def _key(event: PlannedEvent) -> str | bytes:
    return event.conversion_id or event.payload


def _conversion_id(data: bytes) -> str:
    try:
        event = json.loads(data)
    except ValueError:
        return ""
    return str(event.get("conversion_id", "")) if isinstance(event, dict) else ""


def _end(event: PlannedEvent, seen: _Seen) -> tuple[str, str]:
    if seen.dead_letters:
        attributes = seen.dead_letters[0].attributes
        # Pub/Sub's own dead letters, after too many attempts, have no reason of ours.
        reason = attributes.get("xcapi_reason", "exhausted")
        words = attributes.get("xcapi_error_message", "")
        return "dead-lettered", f"{reason}: {words}" if words else reason
    if seen.pixels:
        return "delivered", f"X accepted it at pixel {seen.pixels[0]}"
    if isinstance(event.expected, Skipped) and seen.skipped:
        return "skipped", event.expected.why
    return "missing", "neither at X nor in the dead-letter topic"


def _problems(event: PlannedEvent, seen: _Seen) -> Iterator[str]:
    """Say what is wrong with an event's end; nothing where it is as planned."""
    if len(seen.pixels) > 1:
        yield f"was accepted by X {len(seen.pixels)} times"
    if len(seen.dead_letters) > 1:
        yield f"was dead-lettered {len(seen.dead_letters)} times"
    if seen.pixels and seen.dead_letters:
        yield "was both delivered and dead-lettered"
    end, why = _end(event, seen)
    match event.expected:
        case Delivered(pixel_id):
            if end != "delivered":
                yield f"should have been delivered, but is {end} ({why})"
            elif seen.pixels[0] != pixel_id:
                yield f"went to pixel {seen.pixels[0]} instead of {pixel_id}"
        case DeadLettered(reason, words):
            if end != "dead-lettered":
                yield f"should have been dead-lettered, but is {end} ({why})"
            elif not (why.startswith(reason) and words in why):
                yield f"was dead-lettered as “{why}” instead of “{reason}{': … ' if words else ''}{words}”"
        case Skipped():
            if end != "skipped":
                yield f"should have been skipped, but is {end} ({why})"


def _shortened(problems: Sequence[str]) -> tuple[str, ...]:
    if len(problems) <= _PROBLEMS_SHOWN:
        return tuple(problems)
    return (*problems[:_PROBLEMS_SHOWN], f"… and {len(problems) - _PROBLEMS_SHOWN} more.")
