"""One conversion, ready for X: the value that the readers give to the batchers."""

from typing import ClassVar

from xcapi_core.records import Record

__all__ = ["Conversion"]


class Conversion(Record, frozen=True, kw_only=True, gc=False):
    """One valid conversion and its bytes on the wire.

    `event_tag` is X's `event_id` (the tag from Events Manager), `conversion_id` X's dedup key; publishers confuse
    them with other things, addresses included, so neither shows in a `repr`. `wire` is the JSON
    object of X's `conversions` array, encoded once; it holds identifiers, so it never shows in a `repr`.
    `dropped` are stable codes of what was left out ("invalid_phone", "value_without_currency", …), for counting.
    `identifiers` are the kinds of identifiers in `wire` ("twclid", "hashed_email", …), and `has_derived_id` tells that
    the publisher gave no dedup key; both are for counting, too.
    """

    _shown: ClassVar[tuple[str, ...]] = ("pixel_id", "dropped")

    pixel_id: str
    event_tag: str
    conversion_id: str
    wire: bytes
    dropped: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    has_derived_id: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it one conversion for X: pixel, tag and dedup key. X takes a tag's long and short form for one."""
        return self.pixel_id, self.event_tag.removeprefix(f"tw-{self.pixel_id}-"), self.conversion_id
