"""What is logged of deliveries: one line each; those that X took in one request, whole, share a line.

And what a dry run shows: the conversions that would have been sent, without what identifies anybody.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from xcapi_core import logs
from xcapi_core.conversions import Conversion
from xcapi_core.deliveries.delivery import Answer, Delivery
from xcapi_core.events.drops import Drop
from xcapi_core.origins import waiting_since
from xcapi_core.settings import Settings

__all__ = ["MAX_SHOWN", "Summaries", "log_discarded"]

_VALUE_LOST = f"dropped_{Drop.VALUE_WITHOUT_CURRENCY.value}"
MAX_SHOWN = 5
# Facts about the sale. Not: identifiers, and texts that may hold anything (description, search_string, URLs, names).
_SHOWN = ("event_id", "conversion_time", "value", "price_currency", "number_items")
# X's tags are base-36 and short. Whatever else stands in event_id may be anything: publishers mistake it for an id.
_TAG = re.compile(r"(?:tw-[0-9a-z]{1,8}-)?[0-9a-z]{1,8}", re.IGNORECASE)
# Telephone numbers have more, and have been seen as values.
_MOST_VALUE_DIGITS = 7


class Summaries:
    """Writes the lines that sum deliveries up.

    One request to X settles hundreds of single-event deliveries at once. They are told in one line: a line each would
    cost more time than the events themselves, and at a hundred million a month more money than everything else.
    """

    def __init__(self, settings: Settings, wall_clock: Callable[[], datetime]) -> None:
        self._dry_run = settings.dry_run
        self._naming = settings.log_conversion_ids
        self._wall_clock = wall_clock
        self._smooth: list[Delivery] = []

    def write(self, delivery: Delivery, answer: Answer) -> None:
        """Write a delivery's line, or keep it for the end of this turn of the event loop where all went smoothly."""
        if answer.is_ack and delivery.counts.keys() == {"delivered"}:
            if not self._smooth:
                asyncio.get_running_loop().call_soon(self._write_smooth)
            self._smooth.append(delivery)
            return
        # A conversion whose value was left out counts at X as worth nothing, so its line is a warning.
        fine = answer.is_ack and not self._dry_run and _VALUE_LOST not in delivery.counts
        counts = {
            ("handed_over" if delivery.handed_over else name) if name == "deferred" else name: count
            for name, count in delivery.counts.items()
        }
        discarding = {"dry_run": "conversions are being discarded"} if self._dry_run else {}
        logs.emit_naming(
            "INFO" if fine else "WARNING",
            "delivery.settled" if answer.is_ack else "delivery.deferred",
            delivery.named,
            self._naming,
            message_id=delivery.message.loggable_id,
            http_status=answer.status,
            cause=delivery.cause,
            oldest_event_age_s=self._age_s([delivery]),
            **counts,
            **discarding,
        )

    def _write_smooth(self) -> None:
        deliveries, self._smooth = self._smooth, []
        one = len(deliveries) == 1
        logs.emit(
            "INFO",
            "delivery.settled",
            **({"message_id": deliveries[0].message.loggable_id} if one else {"deliveries": len(deliveries)}),
            http_status=204,
            delivered=sum(delivery.counts["delivered"] for delivery in deliveries),
            oldest_event_age_s=self._age_s(deliveries),
        )

    def _age_s(self, deliveries: Iterable[Delivery]) -> float | None:
        """Return the seconds since the oldest of these messages was published first; None where none says when."""
        times = [since for delivery in deliveries if (since := waiting_since(delivery.message)) is not None]
        return max(0.0, round((self._wall_clock() - min(times)).total_seconds(), 1)) if times else None


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
