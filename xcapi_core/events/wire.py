"""What goes out, as the fast readers write it: X's names in X's order, and nothing for what is not there.

Source: X Ads API reference, `POST /12/measurement/conversions/:pixel_id`.
"""

import msgspec

__all__ = ["WireConversion", "WireIdentifier", "WireLine", "encode"]


class WireLine(msgspec.Struct, omit_defaults=True, gc=False):
    """One element of `contents`."""

    content_id: str | None = None
    content_name: str | None = None
    content_type: str | None = None
    content_group_id: str | None = None
    content_price: str | None = None
    num_items: int | None = None


class WireIdentifier(msgspec.Struct, omit_defaults=True, gc=False):
    """One element of `identifiers`."""

    twclid: str | None = None
    hashed_email: str | None = None
    hashed_phone_number: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None

    def stands_alone(self) -> bool:
        """Tell whether X accepts this element by itself, as `identity.stands_alone` does of a dict."""
        return bool(
            self.twclid
            or self.hashed_email
            or self.hashed_phone_number
            or (self.ip_address is not None and self.user_agent is not None)
        )


class WireConversion(msgspec.Struct, omit_defaults=True, gc=False):
    """One element of `conversions`."""

    conversion_time: str
    event_id: str
    identifiers: tuple[WireIdentifier]
    conversion_id: str
    value: str | None = None
    price_currency: str | None = None
    number_items: int | None = None
    contents: list[WireLine] | None = None
    event_source_url: str | None = None
    search_string: str | None = None


encode = msgspec.json.Encoder().encode
