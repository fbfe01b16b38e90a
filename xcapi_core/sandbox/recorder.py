"""What the sandbox remembers: requests, conversions and their verdicts, within bounds of count and bytes."""

import json
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal

from xcapi_core.sandbox.answers import ApiError

__all__ = ["ConversionRecord", "Recorder", "RequestRecord", "Verdict", "iso"]

Verdict = Literal["accepted", "refused"]

_DEDUP_WINDOW_S = 48 * 3600  # X: same event and conversion_id within 48 h
_DEDUP_CAPACITY = 500_000
_REQUESTS_KEPT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request to the conversions endpoint and what became of it; nothing in it is secret.

    `status` is 0 where the connection was dropped. `conversions` is how many it carried, 0 where nobody read them,
    and `auth` "-" where nobody looked at the keys. `hint` says what X does not: why a
    request was not authenticated, or that a fault was injected. `early` marks one that came before the time that
    an earlier answer had named (`Retry-After`, a reset).
    """

    request_id: int
    received_at: float
    method: str
    path: str
    pixel_id: str
    status: int
    conversions: int
    accepted: int
    body_bytes: int
    duration_ms: float
    auth: str
    error_codes: tuple[str, ...] = ()
    fault: str = ""
    hint: str = ""
    early: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return the record for `GET /sandbox/conversions`."""
        record: dict[str, object] = asdict(self)
        record["time"] = iso(self.received_at)
        del record["received_at"]
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRecord:
    """One conversion as it came, and X's verdict on it: element `index` of the request's body.

    The body is kept as it came, shared by the request's conversions, and read again when somebody asks: encoding
    or keeping every conversion by itself would cost a busy sandbox more than X's own checks.
    """

    request_id: int
    received_at: float
    pixel_id: str
    verdict: Verdict
    body: bytes = field(repr=False)
    index: int
    share_bytes: int
    duplicate: bool = False
    errors: tuple[ApiError, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

    def as_json(self, conversion: object) -> dict[str, object]:
        """Return the record for `GET /sandbox/conversions`; `conversion` is the element read back."""
        found = conversion if isinstance(conversion, dict) else {}
        return {
            "request_id": self.request_id,
            "time": iso(self.received_at),
            "pixel_id": self.pixel_id,
            "event_id": found.get("event_id"),
            "conversion_id": found.get("conversion_id"),
            "verdict": self.verdict,
            "duplicate": self.duplicate,
            "errors": [error.as_json() for error in self.errors],
            "warnings": list(self.warnings),
            "conversion": conversion,
        }


def _read_back(records: Iterable[ConversionRecord]) -> Iterator[dict[str, object]]:
    """Read each body once, as long as its conversions stand together."""
    body: bytes | None = None
    conversions: list[object] = []
    for record in records:
        if record.body is not body:
            body, conversions = record.body, json.loads(record.body)["conversions"]
        yield record.as_json(conversions[record.index])


def iso(epoch_s: float) -> str:
    """Return an epoch time as X writes times: ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Recorder:
    """The memory of one sandbox. Counts are exact; of the records the newest are kept. Safe across threads."""

    def __init__(self, *, keep_conversions: int, keep_bytes: int) -> None:
        self._keep_conversions = keep_conversions
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()
        self._requests: deque[RequestRecord] = deque(maxlen=_REQUESTS_KEPT)
        self._conversions: deque[ConversionRecord] = deque()
        self._bytes = 0
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._known_ids: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._tracked: dict[tuple[str, str], float] = {}

    def track(self, pixel_id: str, event_tag: str, now: float) -> None:
        """Remember that X took a conversion with this (short) tag."""
        with self._lock:
            self._tracked[pixel_id, event_tag] = now

    def last_tracked(self, pixel_id: str, event_tag: str) -> float | None:
        """Return when X last took a conversion with this (short) tag, in epoch seconds."""
        with self._lock:
            return self._tracked.get((pixel_id, event_tag))

    def is_repetition(self, pixel_id: str, event_tag: str, conversion_id: str, now: float) -> bool:
        """Say whether X took this conversion within 48 h, and remember that it comes (again) now."""
        key = (pixel_id, event_tag, conversion_id)
        with self._lock:
            before = self._known_ids.get(key)
            self._known_ids[key] = now
            if len(self._known_ids) > _DEDUP_CAPACITY:
                self._known_ids.popitem(last=False)
        return before is not None and now - before < _DEDUP_WINDOW_S

    def add_conversions(self, records: Iterable[ConversionRecord]) -> None:
        """Remember conversions; the oldest make room."""
        with self._lock:
            for record in records:
                self._counts[record.verdict] += 1
                self._counts["duplicates"] += record.duplicate
                self._conversions.append(record)
                self._bytes += record.share_bytes
            while len(self._conversions) > self._keep_conversions or self._bytes > self._keep_bytes:
                self._bytes -= self._conversions.popleft().share_bytes
                self._counts["forgotten"] += 1

    def add_request(self, record: RequestRecord) -> None:
        """Remember a request."""
        with self._lock:
            self._requests.append(record)
            self._counts["requests"] += 1
            self._counts["early_requests"] += record.early
            self._statuses[str(record.status)] += 1

    def counts(self) -> dict[str, object]:
        """Return exact totals since the last `clear`."""
        with self._lock:
            names = ("accepted", "refused", "duplicates", "requests", "early_requests", "forgotten")
            totals: dict[str, object] = {name: self._counts[name] for name in names}
            return {**totals, "by_status": dict(sorted(self._statuses.items()))}

    def requests(self, *, pixel_id: str | None = None, limit: int | None = None) -> list[RequestRecord]:
        """Return the newest requests, oldest first."""
        with self._lock:
            found = [r for r in self._requests if pixel_id in (None, r.pixel_id)]
        return found[-limit:] if limit else found

    def conversions(
        self, verdict: Verdict, *, pixel_id: str | None = None, limit: int | None = None
    ) -> list[dict[str, object]]:
        """Return the newest conversions with this verdict as JSON objects, oldest first."""
        with self._lock:
            found = [r for r in self._conversions if r.verdict == verdict and pixel_id in (None, r.pixel_id)]
        return list(_read_back(found[-limit:] if limit else found))

    def clear(self) -> None:
        """Forget everything, the 48 hours of conversion ids included."""
        with self._lock:
            self._requests.clear()
            self._conversions.clear()
            self._bytes = 0
            self._counts.clear()
            self._statuses.clear()
            self._known_ids.clear()
            self._tracked.clear()
