"""The console's memory: the newest events, exact totals, and what has changed since somebody last looked."""

import hashlib
import json
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass

from xcapi_core.sandbox.config import SandboxConfig
from xcapi_core.sandbox.console.entries import Attempt, Entry, Exchange
from xcapi_core.sandbox.console.rulings import Ruling, conversions_of, rule
from xcapi_core.sandbox.console.totals import Totals
from xcapi_core.sandbox.rules import Finding, short_tag

__all__ = ["Changes", "Feed", "Key"]

# Pixel, tag and conversion id: what makes it one conversion for X.
Key = tuple[str, str, str]

_ATTEMPTS_KEPT = 10
_ROWS_A_LOOK = 5_000  # as many as the page keeps
_CLOSED = frozenset({"delivered", "dead_lettered", "skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is new since a revision: rows, oldest change first, and the totals. A clear makes another `generation`."""

    generation: int
    revision: int
    rows: list[dict[str, object]]
    totals: dict[str, object]


class Feed:
    """Collects events from the sandbox's requests and from `xcapi dev`. Safe across threads.

    Requests are only put aside as they come, within bounds, and read when the page asks. So a sandbox that nobody
    watches pays nothing for its console. Of the entries, the newest are kept, by count and by bytes.
    """

    def __init__(
        self,
        config: SandboxConfig,
        *,
        keep_entries: int = 5_000,
        keep_bytes: int = 64 * 1024 * 1024,
        keep_unread_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self.lock = threading.RLock()
        self._config = config
        self._keep_entries = keep_entries
        self._keep_bytes = keep_bytes
        self._keep_unread_bytes = keep_unread_bytes
        self._unread: deque[Exchange] = deque()
        self._unread_bytes = 0
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._open: dict[Key, deque[int]] = {}
        self._keys: dict[int, Key] = {}
        self._bytes = 0
        self._revision = 0
        self._generation = time.time_ns() // 1_000_000  # another one after a restart on the same port
        self._totals = Totals()

    def hear(self, exchange: Exchange) -> None:
        """Put a request aside; the oldest make room."""
        with self.lock:
            self._unread.append(exchange)
            self._unread_bytes += _size(exchange)
            while self._unread_bytes > self._keep_unread_bytes and len(self._unread) > 1:
                self._unread_bytes -= _size(self._unread.popleft())
                self._totals.missed_requests += 1

    def add(self, entry: Entry, key: Key | None = None) -> None:
        """Take an event that did not come by a request; requests with this key are about it from now on."""
        with self.lock:
            self._insert(entry, key)

    def next_id(self) -> int:
        """Return the id for a new entry."""
        with self.lock:
            self._revision += 1
            return self._revision

    def settle(self, entry: Entry, ruling: Ruling) -> None:
        """Give an event another state or its end; requests that came before are about it."""
        with self.lock:
            self.catch_up()
            if entry.entry_id in self._entries:
                self._change(entry, ruling)

    def entry(self, entry_id: int) -> Entry | None:
        """Return an entry, or None where it has made room or there never was one."""
        with self.lock:
            self.catch_up()
            return self._entries.get(entry_id)

    def changes(self, generation: int, since: int) -> Changes:
        """Return what has changed since a revision of a generation; everything for another generation."""
        with self.lock:
            self.catch_up()
            if generation != self._generation:
                since = -1
            changed = []
            for entry in reversed(self._entries.values()):
                if entry.revision <= since:
                    break
                changed.append(entry.as_row())
                if len(changed) == _ROWS_A_LOOK:
                    break
            return Changes(
                generation=self._generation,
                revision=self._revision,
                rows=changed[::-1],
                totals=self._totals.as_json(),
            )

    def clear(self) -> None:
        """Forget every event and all totals."""
        with self.lock:
            self._unread.clear()
            self._unread_bytes = 0
            self._entries.clear()
            self._open.clear()
            self._keys.clear()
            self._bytes = 0
            self._totals = Totals()
            self._generation += 1

    def catch_up(self) -> None:
        """Read the requests that were put aside."""
        with self.lock:
            while self._unread:
                exchange = self._unread.popleft()
                self._unread_bytes -= _size(exchange)
                conversions = conversions_of(exchange)
                for index, (conversion, finding) in enumerate(conversions):
                    self._read_conversion(exchange, index, len(conversions), conversion, finding)
                if not conversions:
                    self._read_conversion(exchange, 0, 0, None, None)

    def _read_conversion(
        self, exchange: Exchange, index: int, of: int, conversion: object, finding: Finding | None
    ) -> None:
        found: dict[str, object] = conversion if isinstance(conversion, dict) else {}
        pixel_id = exchange.request.pixel_id
        tag = short_tag(str(found.get("event_id") or ""), pixel_id)
        conversion_id = str(found.get("conversion_id") or "")
        key = (pixel_id, tag, conversion_id or _digest(exchange, conversion))
        waiting = self._open.get(key)
        entry = self._entries[waiting[0]] if waiting else None
        if entry is None:
            entry = Entry(
                entry_id=self.next_id(),
                received_at=exchange.request.received_at,
                pixel_id=pixel_id,
                name=self._name(pixel_id, tag),
                conversion_id=conversion_id,
                verdict="waiting",
            )
            self._insert(entry, key)
        if found and entry.conversion is None:
            self._totals.count_conversion(found)
        entry.conversion = found or entry.conversion
        entry.attempts.append(Attempt(exchange=exchange, index=index, of=of, finding=finding))
        self._bytes += _share(entry.attempts[-1])
        if len(entry.attempts) > _ATTEMPTS_KEPT:
            self._bytes -= _share(entry.attempts.pop(0))
        self._change(entry, rule(exchange, finding, of))

    def _insert(self, entry: Entry, key: Key | None) -> None:
        if entry.conversion:
            self._totals.count_conversion(entry.conversion)
        self._totals.ends[entry.verdict, entry.reason] += 1
        self._entries[entry.entry_id] = entry
        self._bytes += len(entry.message or b"")
        if key is not None and entry.verdict not in _CLOSED:
            self._keys[entry.entry_id] = key
            self._open.setdefault(key, deque()).append(entry.entry_id)
        self._touch(entry)
        while len(self._entries) > self._keep_entries or (self._bytes > self._keep_bytes and len(self._entries) > 1):
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= len(oldest.message or b"") + sum(map(_share, oldest.attempts))
            self._close(oldest)

    def _change(self, entry: Entry, ruling: Ruling) -> None:
        self._totals.ends[entry.verdict, entry.reason] -= 1
        self._totals.ends[ruling.verdict, ruling.reason] += 1
        entry.verdict, entry.reason, entry.detail = ruling
        if entry.verdict in _CLOSED:
            self._close(entry)
        self._touch(entry)

    def _touch(self, entry: Entry) -> None:
        self._revision += 1
        entry.revision = self._revision
        self._entries.move_to_end(entry.entry_id)

    def _close(self, entry: Entry) -> None:
        key = self._keys.pop(entry.entry_id, None)
        if key is not None:
            waiting = self._open[key]
            waiting.remove(entry.entry_id)
            if not waiting:
                del self._open[key]

    def _name(self, pixel_id: str, tag: str) -> str:
        pixel = self._config.pixel(pixel_id)
        return (pixel.event_tags.get(tag) if pixel else None) or tag


def _size(exchange: Exchange) -> int:
    return len(exchange.body) + len(exchange.answer.body) + 1_000


def _share(attempt: Attempt) -> int:
    return _size(attempt.exchange) // max(attempt.of, 1)


def _digest(exchange: Exchange, conversion: object) -> str:
    """Tell conversions without an id apart by their content."""
    content = exchange.body if conversion is None else json.dumps(conversion, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()
