"""Reading X's refusals: what an error is about, and which conversions its words name.

X rejects a whole request for one conversion, and its errors carry no index: only, sometimes, the offending value
inside the message ("hashed_email (abc) is not a valid SHA-256 hash"). Source: X Ads API, "Conversion API
troubleshooting"; the wordings are those of X's reference.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

import msgspec

from xcapi_core.records import Record

__all__ = ["XError", "blame", "is_about_conversions"]


class XError(Record, frozen=True, kw_only=True, gc=False):
    """One entry of X's `errors`. Any of it may quote a value of a conversion, so none of it shows in a `repr`."""

    code: str = ""
    message: str = ""
    parameter: str = ""

    @classmethod
    def from_json(cls, error: Mapping[str, object]) -> "XError":
        """Take what is text; X leaves fields out or null at times."""
        return cls(**{key: text for key in ("code", "message", "parameter") if isinstance(text := error.get(key), str)})


_CONVERSION_FIELDS = (
    "conversion_time",
    "conversion_id",
    "event_id",
    "identifiers",
    "twclid",
    "hashed_email",
    "hashed_phone_number",
    "ip_address",
    "user_agent",
    "value",
    "price_currency",
    "number_items",
    "description",
    "contents",
    "content_id",
    "content_name",
    "content_type",
    "content_price",
    "num_items",
    "content_group_id",
    "event_source_url",
    "search_string",
)
_FIELD = "|".join(_CONVERSION_FIELDS)
_NAMES_A_CONVERSION = re.compile(rf"\b(?:{_FIELD})\b|\bevent id\b|\buser identifier", re.IGNORECASE)

# What a batch as a whole is refused for. "Conversion count limit is 500" and "does not have access to account" are
# X's words; the others are what JSON front ends say of a request that they cannot read.
_REQUEST_CODES = frozenset(
    {"ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED", "UNSUPPORTED_MEDIA_TYPE", "PAYLOAD_TOO_LARGE", "REQUEST_TOO_LARGE"}
    | {"MALFORMED_REQUEST", "MALFORMED_JSON", "INVALID_JSON", "INVALID_REQUEST_BODY", "UNREADABLE_REQUEST"}
)
_REQUEST_WORDS = re.compile(
    r"access to account|conversion count limit|count limit is|\bjson\b|\bpars(?:e|ed|ing)\b|malformed|unreadable"
    r"|(?:could not|cannot|unable to) (?:be )?read|request body|content.type|\b(?:pixel|pixel_id|account_id)\b"
    r"|^conversions is ",
    re.IGNORECASE,
)
_REQUEST_PARAMETERS = frozenset({"account_id", "conversions", "pixel_id"})
# What X quotes is a publisher's, and says nothing about what the error is about. No bracket within brackets: from each
# of a hundred thousand openings without a close, the search would go to the end.
_QUOTED = re.compile(r'"[^"]*"|\([^()]*\)')

# "event_id (o6dkt) is not a single event tag (SET)": up to the first bracket or, for values with brackets, the last.
_VALUE_AFTER_FIELD = (
    re.compile(rf"\b({_FIELD}) \((.*?)\)", re.IGNORECASE | re.DOTALL),
    re.compile(rf"\b({_FIELD}) \((.*)\)", re.IGNORECASE | re.DOTALL),
)
# X says: 'Expected Time in yyyy-MM-ddTHH:mm:ss.SSSZ, got "2026-04-20" for conversion_time'
_VALUE_BEFORE_FIELD = re.compile(rf'got "(.*)" for ({_FIELD})\b', re.IGNORECASE | re.DOTALL)
_FIELD_AFTER_VALUE = re.compile(rf'" for (?:{_FIELD})\b', re.IGNORECASE)

# A tag is configured and sent as "tw-o8z6j-o6dkt" or "o6dkt"; X may answer with either.
_TAG_PREFIX = re.compile(r"^tw-[0-9a-z]+-", re.IGNORECASE)


def is_about_conversions(status: int, errors: Sequence[XError]) -> bool:
    """Whether leaving out the right conversions would make X accept the rest.

    Only then is a search worth its requests. A 404 is about conversions only where X names their event tag; a 400
    or 422 that says nothing readable is given the benefit of the doubt, since good neighbours are at stake.
    """
    about_request = any(
        error.code in _REQUEST_CODES
        or (
            not _names_a_field(error)
            and (error.parameter in _REQUEST_PARAMETERS or _REQUEST_WORDS.search(_QUOTED.sub("", error.message)))
        )
        for error in errors
    )
    if about_request:
        return False
    named = any(_names_a_field(error) for error in errors)
    if status == HTTPStatus.NOT_FOUND:
        return named
    return status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


def blame(errors: Sequence[XError], wires: Sequence[bytes]) -> dict[int, tuple[XError, ...]]:
    """Find the conversions whose own values X's messages quote.

    `wires` are the conversions' wire forms. Returns index in `wires` → the errors that name it; a conversion that
    shares the named value shares the blame, since X would refuse it in the next request.
    """
    # By value, so that the cost is that of the conversions' values and not of X's words times those.
    named: dict[tuple[str, str], list[XError]] = {}
    for error in dict.fromkeys(errors):
        for pair in dict.fromkeys(_named_values(error)):
            named.setdefault(pair, []).append(error)
    if not named:
        return {}
    blamed: dict[int, tuple[XError, ...]] = {}
    for index, wire in enumerate(wires):
        held = _values(msgspec.json.decode(wire))
        found = tuple(dict.fromkeys(error for pair in held for error in named.get(pair, ())))
        if found:
            blamed[index] = found
    return blamed


def _names_a_field(error: XError) -> bool:
    return bool(_NAMES_A_CONVERSION.search(error.message) or _NAMES_A_CONVERSION.search(error.parameter))


def _named_values(error: XError) -> Iterator[tuple[str, str]]:
    # Only as far as a value can end: from each of a thousand openings without a close, the patterns would search the
    # whole rest, and a value that X quotes holds whatever a publisher put into it.
    closed = error.message[: error.message.rfind(")") + 1]
    for pattern in _VALUE_AFTER_FIELD:
        for name, value in pattern.findall(closed):
            yield _canonical(name.lower(), value)
    ends = [match.end() for match in _FIELD_AFTER_VALUE.finditer(error.message)]
    for value, name in _VALUE_BEFORE_FIELD.findall(error.message[: max(ends, default=0)]):
        yield _canonical(name.lower(), value)


def _values(node: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf of a wire conversion as (field name, text); its depth is ours, three at most."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _values(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from _values(child, name)
    else:
        yield _canonical(name, str(node))


def _canonical(name: str, value: str) -> tuple[str, str]:
    return name, _TAG_PREFIX.sub("", value) if name == "event_id" else value
