"""What a dry run shows: the conversions that would have been sent, without what identifies anybody."""

from collections.abc import Sequence

import msgspec

from xcapi_core import logs
from xcapi_core.conversions import Conversion

__all__ = ["log_discarded"]

MAX_SHOWN = 5
# Facts about the sale. Not: identifiers, and texts that may hold anything (description, search_string, URLs, names).
_SHOWN = ("event_id", "conversion_time", "value", "price_currency", "number_items")


def log_discarded(conversions: Sequence[Conversion]) -> None:
    """Log what a message's conversions would have been, the first few of them, identifiers by kind only."""
    for conversion in conversions[:MAX_SHOWN]:
        wire: dict[str, object] = msgspec.json.decode(conversion.wire)
        identifiers = wire.get("identifiers")
        kinds = sorted({kind for element in identifiers for kind in element}) if isinstance(identifiers, list) else []
        logs.emit(
            "WARNING",
            "conversion.discarded",
            dry_run="conversions are being discarded",
            pixel_id=conversion.pixel_id,
            identifiers=", ".join(kinds),
            other_fields=", ".join(key for key in wire if key not in (*_SHOWN, "identifiers")),
            **{key: str(wire[key]) for key in _SHOWN if key in wire},
        )
