"""Which dialect an event is in, told by the names of its fields."""

from collections.abc import Mapping
from typing import Final, Literal

from xcapi_core.events.shapes import as_list

__all__ = ["FORMATS", "Format", "format_of"]

Format = Literal["x", "ga4", "segment"]
FORMATS: Final[tuple[Format, ...]] = ("x", "ga4", "segment")

_SEGMENT_TYPES: Final = frozenset({"track", "identify", "page", "screen", "group", "alias"})
_GA4_NAMES: Final = frozenset({"params", "event_params", "client_id", "app_instance_id", "ip_override"})
_GA4_PREFIXES: Final = ("x-ga-", "x-sst-")


def format_of(fields: Mapping[str, object]) -> Format:
    """Return the dialect of an event, or of the object around several, by the first of the signs that it bears."""
    kind = fields.get("type")
    if (isinstance(kind, str) and kind in _SEGMENT_TYPES) or isinstance(as_list(fields.get("batch")), list):
        return "segment"
    if not _GA4_NAMES.isdisjoint(fields) or any(name.startswith(_GA4_PREFIXES) for name in fields):
        return "ga4"
    return "x"
