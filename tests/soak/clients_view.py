"""What the function itself knew of a request: when it started it, and what it heard. Pure.

X alone cannot tell a request that was sent during a pause from one that was on its way, held up by a machine that did
something else for half a second. The function's log can: it has a line for every request, with its duration.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from tests.soak.evidence import LoggedRequest, SeenRequest

__all__ = ["logged_request", "pair"]

_DELIVERED = 200
# Durations are written in whole milliseconds.
_ROUNDED_S = 0.001
# Both sides look at the clock a little before or after the bytes are on their way.
_CLOCKS_S = 0.01
# More requests of a pixel than are ever under way at a time.
_NEAREST = 1_000


def logged_request(entry: Mapping[str, object]) -> LoggedRequest | None:
    """Read one entry of the log; None where it is not about a request."""
    event, duration_ms = str(entry.get("event", "")), entry.get("duration_ms")
    if not event.startswith("batch.") or not isinstance(duration_ms, int):
        return None
    ended_at = datetime.fromisoformat(str(entry["time"])).timestamp()
    return LoggedRequest(
        pixel_id=str(entry["pixel_id"]),
        started_at=ended_at - duration_ms / 1000 - _ROUNDED_S,
        ended_at=ended_at,
        conversions=int(str(entry["conversions"])),
        status=_DELIVERED if event == "batch.delivered" else int(str(entry.get("http_status", 0))),
    )


def pair(requests: Iterable[SeenRequest], logged: Sequence[LoggedRequest]) -> Mapping[int, LoggedRequest]:
    """Return each request's line by the request's id; none for those of an instance that died before it wrote one.

    First come those whose answer was heard: only what is left can have been given up, or tried afresh.
    """
    lines: defaultdict[tuple[str, int], list[LoggedRequest]] = defaultdict(list)
    for line in sorted(logged, key=_ended_at):
        lines[line.pixel_id, line.status].append(line)
    found: dict[int, LoggedRequest] = {}
    taken: set[int] = set()
    in_order = sorted(requests, key=lambda one: one.answered_at)
    for is_about in (_was_heard, _was_under_way):
        for request in in_order:
            if request.request_id in found:
                continue
            candidates = lines[request.pixel_id, request.status if is_about is _was_heard else 0]
            first = bisect_left(candidates, request.received_at - _CLOCKS_S, key=_ended_at)
            nearest = candidates[first : first + _NEAREST]
            its = next((line for line in nearest if id(line) not in taken and is_about(request, line)), None)
            if its is not None:
                taken.add(id(its))
                found[request.request_id] = its
    for request in in_order:
        # Dropped without a byte of answer, it was tried once more: two requests at X, and one line.
        if request.status == 0 and request.request_id not in found:
            of_pixel = (line for (pixel_id, _), some in lines.items() if pixel_id == request.pixel_id for line in some)
            its = next((line for line in of_pixel if _was_under_way(request, line)), None)
            if its is not None:
                found[request.request_id] = its
    return found


def _ended_at(line: LoggedRequest) -> float:
    return line.ended_at


def _was_heard(request: SeenRequest, line: LoggedRequest) -> bool:
    answered_in_time = request.status != 0 and request.answered_at <= line.ended_at + _CLOCKS_S
    return answered_in_time and _was_under_way(request, line)


def _was_under_way(request: SeenRequest, line: LoggedRequest) -> bool:
    began_in_time = line.started_at - _CLOCKS_S <= request.received_at <= line.ended_at + _CLOCKS_S
    return began_in_time and request.conversions in {0, line.conversions}
