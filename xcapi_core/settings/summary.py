"""The part of the configuration that `GET /` shows."""

import msgspec

from xcapi_core.settings import Settings
from xcapi_core.settings.rules import credentials_kind

__all__ = ["summary"]


def summary(settings: Settings) -> dict[str, object]:
    """Return what `GET /` shows of the configuration: JSON values, of credentials and topic only where they live."""
    pixels = {
        pixel.pixel_id: {
            "credentials": credentials_kind(pixel.credentials),
            "events": sorted(pixel.event_ids),
            "conversion_id_from": pixel.conversion_id_from and list(pixel.conversion_id_from),
            "consent_categories": list(pixel.consent_categories),
        }
        for pixel in settings.pixels.values()
    }
    shown: dict[str, object] = msgspec.structs.asdict(settings)
    return shown | {
        "dead_letter_topic": _topic_kind(settings.dead_letter_topic),
        "remainder_topic": settings.remainder_topic and _topic_kind(settings.remainder_topic),
        "pixels": pixels,
        "batch": msgspec.structs.asdict(settings.batch),
        "rate": msgspec.structs.asdict(settings.rate),
    }


def _topic_kind(topic: str) -> str:
    return "file" if topic.startswith("file:") else "pubsub"
