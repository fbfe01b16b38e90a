"""Which straight way leads through a message, and when it is worth trying."""

from collections.abc import Callable, Mapping
from typing import Final

from xcapi_core.conversions import Conversion
from xcapi_core.events.splitting import DECODING_ERRORS
from xcapi_core.events.straight_ga4 import read_straight_ga4
from xcapi_core.events.straight_segment import read_straight_segment
from xcapi_core.events.straight_writer import Writers
from xcapi_core.events.straight_x import read_straight_x
from xcapi_core.outcomes import Skipped

__all__ = ["StraightReader"]

_WAYS: Final[Mapping[str, Callable[[bytes, Writers], Conversion | Skipped]]] = {
    "x": read_straight_x,
    "ga4": read_straight_ga4,
    "segment": read_straight_segment,
}
# A source's events are alike. After so many in a row that are not straight, as many are not tried before the next one
# is: n events of another kind cost about √2n attempts, and a mixed message is read straight where it can be.
_PATIENCE: Final = 4


class StraightReader:
    """Reads the straight events of one message."""

    def __init__(self, writers: Writers) -> None:
        self._way = _WAYS[writers.dialect]
        self._writers = writers
        self._misses = 0
        self._passed_over = 0

    def read(self, event_bytes: bytes) -> Conversion | Skipped | None:
        """Return what a straight event becomes, None for any other. Never raises."""
        if self._misses >= _PATIENCE and self._passed_over < self._misses:
            self._passed_over += 1
            return None
        try:
            result = self._way(event_bytes, self._writers)
            if not event_bytes.isascii():
                event_bytes.decode()  # the decoder does not look at the text of fields that it passes over
        except DECODING_ERRORS:  # a NotStraightError is a ValueError
            self._misses += 1
            self._passed_over = 0
            return None
        self._misses = 0
        return result
