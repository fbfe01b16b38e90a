"""Were X's times kept, and the configured budget? Pure functions over what X saw."""

from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.soak.evidence import Instance, LoggedRequest, Pause, SeenRequest

__all__ = ["Early", "Peak", "early_requests", "instance_at", "peaks"]

# An instance that dies takes its last lines with it; then this is how long an answer, or a request, may be on its way.
_ON_ITS_WAY_S = 1.0


@dataclass(frozen=True, slots=True)
class Early:
    """A request that came `early_s` before the time X had named. `forgiven`: its sender was born after X named it."""

    request_id: int
    pixel_id: str
    early_s: float
    forgiven: bool


@dataclass(frozen=True, slots=True)
class Peak:
    """The most events that X counted of one pixel in any window: of one instance, and over a restart."""

    pixel_id: str
    of_one_instance: int
    in_all: int


def instance_at(instances: Sequence[Instance], moment: float) -> int:
    """Return the index of the instance that lived at `moment`; -1 before the first."""
    return bisect_right([instance.started_at for instance in instances], moment) - 1


def early_requests(
    requests: Sequence[SeenRequest],
    pauses: Sequence[Pause],
    instances: Sequence[Instance],
    lines: Mapping[int, LoggedRequest],
) -> list[Early]:
    """Return the requests that were sent during a pause: begun after the function had heard of a time, seen before it.

    `lines` is what the function's log says of each request, by its id.
    """
    asked_of = {request.request_id: instance_at(instances, request.received_at) for request in requests}
    # An answer to one that is dead by then, nobody hears.
    told = [pause for pause in pauses if asked_of.get(pause.request_id, -1) == instance_at(instances, pause.told_at)]
    heard = [(pause, at) for pause in told if (at := _heard_at(pause, lines.get(pause.request_id))) is not None]
    found = []
    for request in sorted(requests, key=lambda one: one.received_at):
        line = lines.get(request.request_id)
        begun_at = line.started_at if line else request.received_at - _ON_ITS_WAY_S
        hit = [
            pause
            for pause, heard_at in heard
            if pause.pixel_id == request.pixel_id and heard_at < begun_at and request.received_at < pause.until
        ]
        if hit:
            born_at = instances[max(0, instance_at(instances, request.received_at))].started_at
            found.append(
                Early(
                    request.request_id,
                    request.pixel_id,
                    max(pause.until for pause in hit) - request.received_at,
                    forgiven=all(pause.told_at < born_at for pause in hit),
                )
            )
    return found


def _heard_at(pause: Pause, line: LoggedRequest | None) -> float | None:
    """Return when the function knew; None where it had given up on that answer."""
    if line is None:
        return pause.told_at + _ON_ITS_WAY_S
    return line.ended_at if line.status else None


def peaks(requests: Sequence[SeenRequest], instances: Sequence[Instance], window_s: float) -> list[Peak]:
    """Return each pixel's fullest window, over every window of `window_s` that there is."""
    sent: defaultdict[str, list[tuple[float, int, int]]] = defaultdict(list)
    for request in requests:
        if request.conversions:
            moment = request.received_at
            sent[request.pixel_id].append((moment, request.conversions, instance_at(instances, moment)))
    return [Peak(pixel_id, *_fullest(sorted(moments), window_s)) for pixel_id, moments in sorted(sent.items())]


def _fullest(moments: Sequence[tuple[float, int, int]], window_s: float) -> tuple[int, int]:
    """Look at the windows that end with a request: the fullest is one of them."""
    window: deque[tuple[float, int, int]] = deque()
    of: Counter[int] = Counter()
    one, everything = 0, 0
    for moment, events, instance in moments:
        window.append((moment, events, instance))
        of[instance] += events
        while window[0][0] <= moment - window_s:
            _, gone, whose = window.popleft()
            of[whose] -= gone
        one = max(one, of[instance])
        everything = max(everything, of.total())
    return one, everything
