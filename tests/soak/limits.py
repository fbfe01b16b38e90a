"""Were X's times kept, and the configured budget? Pure functions over what X saw."""

from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from tests.soak.evidence import Instance, SeenRequest, Wall

__all__ = ["Early", "Peak", "early_requests", "instance_at", "peaks"]

# A request that was on its way when the answer went out did not run into anything.
ON_ITS_WAY_S = 0.25


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
    requests: Sequence[SeenRequest], walls: Sequence[Wall], instances: Sequence[Instance]
) -> list[Early]:
    """Return the requests that ran into a closed gate."""
    found = []
    for request in sorted(requests, key=lambda one: one.received_at):
        born_at = instances[max(0, instance_at(instances, request.received_at))].started_at
        hit = [
            wall
            for wall in walls
            if wall.pixel_id == request.pixel_id and wall.told_at + ON_ITS_WAY_S < request.received_at < wall.until
        ]
        if hit:
            found.append(
                Early(
                    request.request_id,
                    request.pixel_id,
                    max(wall.until for wall in hit) - request.received_at,
                    forgiven=all(wall.told_at < born_at for wall in hit),
                )
            )
    return found


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
