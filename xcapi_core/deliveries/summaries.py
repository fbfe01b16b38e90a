"""What is logged of deliveries: one line each, but those that went smoothly together share theirs."""

import asyncio

from xcapi_core import logs
from xcapi_core.deliveries.delivery import Answer, Delivery
from xcapi_core.events.drops import Drop

__all__ = ["Summaries"]

_VALUE_LOST = f"dropped_{Drop.VALUE_WITHOUT_CURRENCY.value}"


class Summaries:
    """Writes the lines that sum deliveries up.

    One request to X settles hundreds of single-event deliveries at once. They are told in one line: a line each would
    cost more time than the events themselves, and at a hundred million a month more money than everything else.
    """

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._smooth: list[Delivery] = []

    def write(self, delivery: Delivery, answer: Answer) -> None:
        """Write a delivery's line, or keep it for the end of this turn of the event loop where all went smoothly."""
        if answer.is_ack and delivery.counts.keys() == {"delivered"}:
            if not self._smooth:
                asyncio.get_running_loop().call_soon(self._write_smooth)
            self._smooth.append(delivery)
            return
        # A conversion whose value was left out counts at X, but as worth nothing: somebody should hear of it.
        fine = answer.is_ack and not self._dry_run and _VALUE_LOST not in delivery.counts
        discarding = {"dry_run": "conversions are being discarded"} if self._dry_run else {}
        logs.emit(
            "INFO" if fine else "WARNING",
            "delivery.settled" if answer.is_ack else "delivery.deferred",
            message_id=delivery.message.loggable_id,
            http_status=answer.status,
            cause=answer.cause,
            **delivery.counts,
            **discarding,
        )

    def _write_smooth(self) -> None:
        deliveries, self._smooth = self._smooth, []
        delivered = sum(delivery.counts["delivered"] for delivery in deliveries)
        if len(deliveries) == 1:
            message_id = deliveries[0].message.loggable_id
            logs.emit("INFO", "delivery.settled", message_id=message_id, http_status=204, delivered=delivered)
        else:
            logs.emit("INFO", "delivery.settled", deliveries=len(deliveries), http_status=204, delivered=delivered)
