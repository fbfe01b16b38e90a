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

__all__ = ["Accusation", "XError", "accuse", "is_about_access", "is_about_request", "quotes_a_value", "shared_values"]


# X's longest message is a few hundred characters and the value that it quotes. What is longer is not read for values;
# a dead letter's attribute holds 1,024 bytes.
_LONGEST_TEXT = 4_096


class XError(Record, frozen=True, kw_only=True, gc=False):
    """One entry of X's `errors`. Any of it may quote a value of a conversion, so none of it shows in a `repr`."""

    code: str = ""
    message: str = ""
    parameter: str = ""

    @classmethod
    def from_json(cls, error: Mapping[str, object]) -> "XError":
        """Take what is text, up to a length; X leaves fields out or null at times."""
        texts = {key: text for key in ("code", "message", "parameter") if isinstance(text := error.get(key), str)}
        return cls(**{key: text[:_LONGEST_TEXT] for key, text in texts.items()})


# A field's name and a value of it, in the form in which values are compared.
FieldValue = tuple[str, str]


class Accusation(Record, frozen=True, kw_only=True):
    """Which of a refused batch's conversions X's errors name: indices into the batch.

    `named` are named beyond doubt, each with the errors that name it. `shared` are those that have one named value in
    common, a list for each value: one of them has to be sent alone.
    """

    named: Mapping[int, tuple[XError, ...]]
    shared: Sequence[tuple[FieldValue, list[int]]]


_FIELDS = (
    "conversion_time",
    "conversion_id",
    "event_id",
    "twclid",
    "hashed_email",
    "hashed_phone_number",
    "ip_address",
    "user_agent",
    "value",
    "price_currency",
    "number_items",
    "description",
    "content_id",
    "content_name",
    "content_type",
    "content_price",
    "num_items",
    "content_group_id",
    "event_source_url",
    "search_string",
)
_FIELD = "|".join(_FIELDS)

# X's documented errors about one value, as a whole: what stands in the brackets is the value, whatever it looks like.
_DOCUMENTED = re.compile(
    rf"(?P<field>{_FIELD}) \((?P<value>.*)\) "
    r"(?:is not a valid SHA-256 hash|is not a single event tag \(SET\)|does not belong to provided account)\.?"
    r'|Expected Time in [^"]*, got "(?P<time>.*)" for (?P<time_field>conversion_time)\.?',
    re.IGNORECASE | re.DOTALL,
)
# Where any other message quotes a value: `event_id (o6dkt)`, `got "2026-04-20" for conversion_time`.
_OPENING = re.compile(rf'\b(?P<field>{_FIELD}) \(|\bgot "', re.IGNORECASE)
_CLOSING_BRACKET = re.compile(r"\)")
_CLOSING_QUOTE = re.compile(rf'" for (?P<field>{_FIELD})\b', re.IGNORECASE)
# A value that X quotes holds whatever a publisher put into it. Beyond these, reading all its brackets costs more than
# asking X again.
_MOST_OPENINGS = 16
_MOST_READINGS = 20_000

# A tag is configured and sent as "tw-o8z6j-o6dkt" or "o6dkt"; X may answer with either.
_TAG_PREFIX = re.compile(r"^tw-[0-9a-z]+-", re.IGNORECASE)

# X's words come before anything that it quotes: what a publisher wrote stands in brackets or quotation marks.
_NO_ACCESS = re.compile(r'\s*(?:the )?user\b[^("]*does not have access to account', re.IGNORECASE)
_TOO_MANY = re.compile(r'[^("]*\bcount limit is\b', re.IGNORECASE)
# A shorter value stands in X's words by chance.
_SHORTEST_QUOTED = 4


def is_about_access(status: int, errors: Sequence[XError]) -> bool:
    """Tell whether a 404 says that the user has no role in the account: the keys, not the conversions."""
    return status == HTTPStatus.NOT_FOUND and any(_NO_ACCESS.match(error.message) for error in errors)


def is_about_request(status: int, errors: Sequence[XError]) -> bool:
    """Tell whether no conversion can be what X refuses. Words that X never documented are not known to be that."""
    if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        return True
    if status == HTTPStatus.NOT_FOUND and any(error.code == "ROUTE_NOT_FOUND" for error in errors):
        return True
    return any(_TOO_MANY.match(error.message) for error in errors)


def accuse(errors: Sequence[XError], wires: Sequence[bytes]) -> Accusation:
    """Find the conversions of a refused batch that X's messages name; `wires` are their wire forms.

    An error names a conversion when all that it quotes is that one's and no other's. Where several share the value that
    a documented error names, they share the accusation. Everything else is left to bisection.
    """
    unique = tuple(dict.fromkeys(errors))
    documented = {error: pair for error in unique if (pair := _documented_value(error))}
    others = [error for error in unique if error not in documented and _OPENING.search(error.message)]
    if not documented and not others:
        return Accusation(named={}, shared=())
    holders = _holders(wires)
    named: dict[int, tuple[XError, ...]] = {}
    shared: dict[tuple[FieldValue, str], dict[int, None]] = {}  # X says the same of one tag in two errors
    for error, pair in documented.items():
        exact = holders.get(pair, {})
        if len(exact) == 1:
            (index,) = exact
            named[index] = (*named.get(index, ()), error)
            continue
        for index, value in exact.items():
            shared.setdefault((pair, value), {})[index] = None
    readings = 0
    for error in others:
        readings += error.message.count(")") * error.message.count("(") + error.message.count('"') ** 2
        if readings > _MOST_READINGS:
            break
        fitting = _fitting(error.message, holders)
        if len(fitting) == 1:
            (index,) = fitting
            named[index] = (*named.get(index, ()), error)
    groups = [(pair, [index for index in members if index not in named]) for (pair, _), members in shared.items()]
    return Accusation(named=named, shared=[group for group in groups if group[1]])


def shared_values(errors: Sequence[XError]) -> frozenset[FieldValue]:
    """Return the values that documented errors name."""
    return frozenset(pair for error in errors if (pair := _documented_value(error)))


def quotes_a_value(errors: Sequence[XError], wire: bytes) -> bool:
    """Tell whether X's words quote anything of this conversion."""
    values = {value for _, value in _leaves(msgspec.json.decode(wire))}
    return any(
        (len(value) >= _SHORTEST_QUOTED and value in error.message)
        or f"({value})" in error.message
        or f'"{value}"' in error.message
        for error in errors
        for value in values
    )


def _documented_value(error: XError) -> FieldValue | None:
    match = _DOCUMENTED.fullmatch(error.message)
    if match is None:
        return None
    if match["time_field"]:
        return _comparable(match["time_field"], match["time"])
    return _comparable(match["field"], match["value"])


def _holders(wires: Sequence[bytes]) -> dict[FieldValue, dict[int, str]]:
    """Return, by field and comparable value, who has it, and how it is spelled there."""
    holders: dict[FieldValue, dict[int, str]] = {}
    for index, wire in enumerate(wires):
        for field, value in _leaves(msgspec.json.decode(wire)):
            holders.setdefault(_comparable(field, value), {})[index] = _without_prefix(field, value)
    return holders


def _fitting(message: str, holders: Mapping[FieldValue, Mapping[int, str]]) -> frozenset[int]:
    """Return the conversions that have all the values that a message quotes.

    A value may hold brackets, and in them what looks like another value: any reading of the message counts.
    """
    openings = list(_OPENING.finditer(message)) if len(message) <= _LONGEST_TEXT else []
    brackets = [match.start() for match in _CLOSING_BRACKET.finditer(message)]
    quotes = [(match.start(), match.end(), match["field"]) for match in _CLOSING_QUOTE.finditer(message)]
    if not 0 < len(openings) <= _MOST_OPENINGS:
        return frozenset()
    # From the last opening to the first: who fits everything from there on; None where nothing more is quoted.
    fits: list[frozenset[int]] = []
    for opening in reversed(openings):
        start = opening.end()
        ends = (
            [(end, end + 1, opening["field"]) for end in brackets]
            if opening["field"]
            else [(end, after, field) for end, after, field in quotes]
        )
        found: frozenset[int] = frozenset()
        for end, after, field in ends:
            if end < start:
                continue
            owners = frozenset(holders.get(_comparable(field, message[start:end]), ()))
            later = next((place for place, other in enumerate(openings) if other.start() >= after), None)
            found |= owners if later is None else owners & fits[len(openings) - 1 - later]
        fits.append(found)
    return fits[-1]


def _leaves(node: object, field: str = "") -> Iterator[FieldValue]:
    """Yield every leaf of a wire conversion as (field, text); its depth is ours, three at most."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _leaves(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(child, field)
    else:
        yield field, str(node)


def _comparable(field: str, value: str) -> FieldValue:
    """Return a form that is the same for all that X may have made of a value when it quotes it."""
    field = field.lower()
    return field, _without_prefix(field, value).strip().casefold()


def _without_prefix(field: str, value: str) -> str:
    return _TAG_PREFIX.sub("", value) if field == "event_id" else value
