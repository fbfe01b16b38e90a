"""What a dry run shows: the conversions that would have been sent, without what identifies anybody."""

import re
from collections.abc import Sequence

import msgspec

from xcapi_core import logs
from xcapi_core.conversions import Conversion

__all__ = ["MAX_SHOWN", "log_discarded"]

MAX_SHOWN = 5
# Facts about the sale. Not: identifiers, and texts that may hold anything (description, search_string, URLs, names).
_SHOWN = ("event_id", "conversion_time", "value", "price_currency", "number_items")
# X's tags are base-36 and short. Whatever else stands in event_id may be anything: publishers mistake it for an id.
_TAG = re.compile(r"(?:tw-[0-9a-z]{1,8}-)?[0-9a-z]{1,8}", re.IGNORECASE)
# Telephone numbers have more, and have been seen as values.
_MOST_VALUE_DIGITS = 7


def log_discarded(conversions: Sequence[Conversion], *, of: int) -> None:
    """Log what a message's `of` conversions would have been, the first few of them, identifiers by kind only."""
    for number, conversion in enumerate(conversions[:MAX_SHOWN], start=1):
        wire: dict[str, object] = msgspec.json.decode(conversion.wire)
        identifiers = wire.get("identifiers")
        kinds = sorted({kind for element in identifiers for kind in element}) if isinstance(identifiers, list) else []
        shown = {key: str(wire[key]) for key in _SHOWN if key in wire}
        if not _TAG.fullmatch(shown.get("event_id", "")):
            shown["event_id"] = "(no tag of X's)"
        if len(shown.get("value", "").partition(".")[0]) > _MOST_VALUE_DIGITS:
            shown["value"] = f"(more than {_MOST_VALUE_DIGITS} digits)"
        logs.emit(
            "WARNING",
            "conversion.discarded",
            dry_run="conversions are being discarded",
            number=number,
            of=of,
            pixel_id=conversion.pixel_id,
            identifier_kinds=", ".join(kinds),
            other_fields=", ".join(key for key in wire if key not in (*_SHOWN, "identifiers")),
            **shown,
        )
