"""What is left out of a conversion that is sent all the same: one stable code a reason."""

from enum import Enum, unique

__all__ = ["Drop"]


@unique
class Drop(Enum):
    """Why a part of an event was dropped; the values are what logs and counters show."""

    # identifiers
    DIGEST_OF_NOTHING = "digest_of_nothing"  # a hashed "", "null", "undefined", …
    EXTRA_IP_ADDRESS = "extra_ip_address"  # X takes one a conversion
    EXTRA_TWCLID = "extra_twclid"
    EXTRA_USER_AGENT = "extra_user_agent"
    INVALID_EMAIL = "invalid_email"
    INVALID_HASHED_EMAIL = "invalid_hashed_email"  # not 64 hex digits
    INVALID_HASHED_PHONE_NUMBER = "invalid_hashed_phone_number"
    INVALID_IDENTIFIER = "invalid_identifier"  # an element of `identifiers` that is no object
    INVALID_IDENTIFIERS = "invalid_identifiers"  # `identifiers` that are no list
    INVALID_IP_ADDRESS = "invalid_ip_address"
    INVALID_PHONE = "invalid_phone"
    INVALID_TWCLID = "invalid_twclid"
    INVALID_USER = "invalid_user"  # `user` that is no object
    INVALID_USER_AGENT = "invalid_user_agent"
    IPV6_ADDRESS = "ipv6_address"  # X takes IPv4
    PHONE_WITHOUT_REGION = "phone_without_region"  # national format, and no `default_phone_region`
    PRIVATE_IP_ADDRESS = "private_ip_address"
    TOO_MANY_IDENTIFIERS = "too_many_identifiers"

    # money
    INVALID_CURRENCY = "invalid_currency"  # a word for nothing, or a template's leftover
    INVALID_VALUE = "invalid_value"  # the same in place of an amount
    MIXED_CURRENCIES = "mixed_currencies"  # none of the event's own, and two or more among its lines
    VALUE_WITHOUT_CURRENCY = "value_without_currency"  # no currency, and no `default_currency`

    # the rest
    FUTURE_TIME = "future_time"  # replaced by the publish time
    INVALID_CONTENT = "invalid_content"  # a line that is no object, or says nothing
    INVALID_CONTENT_COUNT = "invalid_content_count"
    INVALID_CONTENT_PRICE = "invalid_content_price"  # the line keeps its id and count
    INVALID_CONTENT_ID = "invalid_content_id"
    INVALID_CONTENT_FIELD = "invalid_content_field"
    INVALID_CONTENTS = "invalid_contents"  # `contents` that are no list
    INVALID_CONVERSION_ID = "invalid_conversion_id"  # no readable kind, a word for nothing, a template's leftover
    INVALID_DESCRIPTION = "invalid_description"
    INVALID_NUMBER_ITEMS = "invalid_number_items"
    INVALID_SEARCH_STRING = "invalid_search_string"
    INVALID_URL = "invalid_url"
    UNREAD_CONSENT = "unread_consent"  # a signal that is not interpreted
