"""The configuration as typed, frozen values."""

from collections.abc import Mapping
from typing import Literal

import msgspec

__all__ = ["BatchSettings", "PixelSettings", "RateSettings", "Settings", "normalise_event_name"]

_NAME_SEPARATORS = str.maketrans({" ": "_", "-": "_"})


class PixelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One pixel: whose keys sign for it and which event names it wants."""

    pixel_id: str
    credentials: str
    event_ids: Mapping[str, str]
    conversion_id_from: tuple[str, ...] | None = None
    consent_categories: tuple[str, ...] = ()


class BatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How conversions share requests: at most so many a request, so many requests at once, per pixel."""

    max_conversions: int = 500
    max_in_flight: int = 4


class RateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The sliding window of events that one instance sends for one pixel."""

    events: int = 60_000
    window_s: float = 900.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration."""

    dead_letter_topic: str
    pixels: Mapping[str, PixelSettings]
    remainder_topic: str | None = None
    default_pixel: str | None = None
    default_phone_region: str | None = None
    default_currency: str | None = None
    consent: Literal["respect", "require", "ignore"] = "respect"
    on_unauthorized: Literal["dead_letter", "requeue"] = "dead_letter"
    max_event_age_hours: float | None = None
    dry_run: bool = False
    api_base_url: str = "https://ads-api.x.com"
    api_version: str = "12"
    request_timeout_s: float = 10.0
    settle_timeout_s: float = 50.0
    batch: BatchSettings = BatchSettings()
    log_conversion_ids: Literal["digest", "plain", "off"] = "digest"
    rate: RateSettings = RateSettings()

    def consent_categories_of(self, pixel: PixelSettings | None) -> tuple[str, ...]:
        """Return the pixel's consent categories; where the pixel is ambiguous, those of every pixel."""
        if pixel is not None:
            return pixel.consent_categories
        return tuple(dict.fromkeys(category for each in self.pixels.values() for category in each.consent_categories))

    @property
    def dead_letter_project(self) -> str | None:
        """The project of the dead-letter topic; None where dead letters go to a file."""
        kind, _, rest = self.dead_letter_topic.partition("/")
        return rest.partition("/")[0] if kind == "projects" else None


def normalise_event_name(name: str) -> str:
    """Return the form in which event names are compared: without case, outer space, and with `_` for space and `-`."""
    return name.strip().casefold().translate(_NAME_SEPARATORS)
