"""Which straight way leads through a message, and how long it is worth trying."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from xcapi_core.conversions import Conversion
from xcapi_core.events.straight_ga4 import read_straight_ga4
from xcapi_core.events.straight_segment import read_straight_segment
from xcapi_core.events.straight_writer import NOT_STRAIGHT, StraightWriter
from xcapi_core.outcomes import Skipped
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["StraightReader"]

_WAYS: Final[Mapping[str, Callable[[bytes, StraightWriter], Conversion | Skipped]]] = {
    "ga4": read_straight_ga4,
    "segment": read_straight_segment,
}
# A source's events are alike: after so many in a row that are not straight, no further one of the message is tried.
_MOST_MISSES: Final = 5


class StraightReader:
    """Reads the straight events of one message that name no pixel of their own."""

    def __init__(self, dialect: str, pixel: PixelSettings, settings: Settings, *, received_at: datetime) -> None:
        self._way = _WAYS.get(dialect)
        # Where consent is required, or dedup keys have other names, every event is to be weighed.
        is_of_use = settings.consent != "require" and pixel.conversion_id_from is None
        self._misses_left = _MOST_MISSES if self._way and is_of_use else 0
        self._writer = StraightWriter(dialect, pixel, settings, received_at) if self._misses_left else None

    def read(self, event_bytes: bytes) -> Conversion | Skipped | None:
        """Return what a straight event becomes, None for any other. Never raises."""
        if self._misses_left <= 0 or self._way is None or self._writer is None:
            return None
        try:
            if not event_bytes.isascii():
                event_bytes.decode()  # the decoder does not look at the text of fields that it passes over
            result = self._way(event_bytes, self._writer)
        except NOT_STRAIGHT:
            self._misses_left -= 1
            return None
        self._misses_left = _MOST_MISSES
        return result
