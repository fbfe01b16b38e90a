"""How much may be held in memory at once: deliveries beyond that go back to the queue instead of ending the process."""

__all__ = ["DELIVERY_BYTES", "MAX_BODY_BYTES", "MAX_HELD_BYTES", "Admission"]

# Pub/Sub's 10 MB in base64, and 100 attributes of 1,280 bytes each, come to 13.5 MB.
MAX_BODY_BYTES = 16 << 20
# A delivery's events, conversions and futures take about six times its body: 48 MiB of bodies are 300 MB at worst,
# beside the 120 MB that the process needs by itself. Single events come nowhere near.
MAX_HELD_BYTES = 48 << 20
# What a delivery takes besides its body, on the same scale: request, task and futures are 30 kB.
DELIVERY_BYTES = 5_000


class Admission:
    """Counts the bytes of the deliveries under way."""

    def __init__(self, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0

    def admit(self, body_bytes: int) -> bool:
        """Count a delivery in, unless it would not fit; one alone always fits."""
        if self._held_bytes and self._held_bytes + body_bytes > self._max_held_bytes:
            return False
        self._held_bytes += body_bytes
        return True

    def release(self, body_bytes: int) -> None:
        """Count a delivery out."""
        self._held_bytes -= body_bytes
