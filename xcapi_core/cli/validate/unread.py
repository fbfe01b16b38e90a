"""Fields that nothing reads, with what their author may have meant: no mistakes, but often the cause of one."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from xcapi_core.events import contents, ga4, segment, x
from xcapi_core.events.consent_signals import is_signal
from xcapi_core.events.detection import Format
from xcapi_core.events.fields import is_object
from xcapi_core.events.opened import Opened
from xcapi_core.events.shapes import as_list, as_object

__all__ = ["in_words", "unread_fields", "worth_a_look"]

_TABLES: Final = {"x": x.table_of, "ga4": ga4.table_of, "segment": segment.table_of}
# The places in which people write fields themselves, by their index, with what else is read there, or tells a dialect.
_PLACES: Final[Mapping[Format, Mapping[int, frozenset[str]]]] = {
    "x": {
        0: frozenset({"event", "event_id", "event_name", "identifiers", "pixel_id", "user", "user_data"}),
        1: frozenset(),
        2: frozenset(),
    },
    "ga4": {
        0: frozenset({"ecommerce", "page_hostname", "pixel_id", "user_data"}),
        1: frozenset(
            {"app_instance_id", "client_id", "ecommerce", "event_name", "event_params", "events", "name"}
            | {"page_hostname", "params", "pixel_id", "user_data", "user_id"}
        ),
        4: frozenset({"address"}),
    },
    "segment": {
        0: frozenset({"pixel_id", *("url", "search")}),
        1: frozenset(
            {"anonymousId", "context", "event", "integrations", "messageId", "pixel_id", "properties", "traits"}
            | {"type", "userId", "sentAt", "receivedAt", "version", "name", "category", "channel"}
        ),
        3: frozenset(),
        4: frozenset(),
    },
}
# What people call it elsewhere, squeezed.
_MEANINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("amount", "price", "revenue", "total", "conversionamount"), "value"),
    **dict.fromkeys(("mail", "emailid", "useremail", "customeremail"), "email"),
    **dict.fromkeys(("tel", "telephone", "mobile", "phonenr"), "phone"),
    **dict.fromkeys(("ip", "clientip", "clientipaddress", "remoteaddr"), "ip_address"),
    **dict.fromkeys(("ua", "clientuseragent", "browser"), "user_agent"),
    **dict.fromkeys(("date", "datetime", "createdat", "eventtime", "ts"), "conversion_time"),
    **dict.fromkeys(("clickid", "xclid", "tclid", "clid"), "twclid"),
    **dict.fromkeys(("lineitems", "lines", "cart", "basket", "goods"), "contents"),
    **dict.fromkeys(("ordernumber", "orderno", "externalid", "transaction", "dedupid"), "conversion_id"),
    **dict.fromkeys(("pageurl", "sourceurl", "pagelocation"), "event_source_url"),
    **dict.fromkeys(("searchterm", "query", "keyword"), "search_string"),
    **dict.fromkeys(("quantity", "numitems", "itemcount"), "number_items"),
    **dict.fromkeys(("eventname", "eventtype", "action"), "event"),
}
_GOODS: Final = ("contents", "items", "products")
_CLOSE: Final = 0.75
# A name as people give them; anything else may be personal.
_NAME: Final = re.compile(r"[A-Za-z_][\w.$:-]{0,63}", re.ASCII)
_MOST: Final = 50
_SQUEEZED: Final = str.maketrans("", "", "_- ")


def unread_fields(
    opened: Opened, form: Format, conversion_id_from: tuple[str, ...] | None
) -> tuple[tuple[str, str | None], ...]:
    """Return the path of each field that nothing reads, with the name that was meant, None where nobody can tell."""
    table = _TABLES[form](conversion_id_from)
    found: list[tuple[str, str | None]] = []
    for place, others in _PLACES[form].items():
        known = table.known(place) | others
        names = _candidates(opened.places[place], known)
        found += [(f"{opened.at[place]}{name}", _meant(name, known)) for name in names]
    for at, line in _first_lines(opened, form):
        known = contents.LINE_NAMES
        found += [(f"{at}{name}", _meant(name, known)) for name in _candidates(line, known)]
    return tuple(found[:_MOST])


def worth_a_look(unread: Sequence[tuple[str, str | None]], form: str) -> Sequence[tuple[str, str | None]]:
    """Return what to show to a person.

    Events of other sources have dozens of fields of their own: of these only what looks like a slip.
    """
    return unread if form == "x" else [(field, meant) for field, meant in unread if meant is not None]


def in_words(unread: Sequence[tuple[str, str | None]]) -> str:
    """Return the fields in a line."""
    return ", ".join([f"{field} (did you mean {meant}?)" if meant else field for field, meant in unread])


def _first_lines(opened: Opened, form: Format) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the first line of each list of goods: its author writes all of them alike."""
    for place in _PLACES[form]:
        for name in _GOODS:
            lines = as_list(opened.places[place].get(name))
            if isinstance(lines, list) and lines and is_object(line := as_object(lines[0])):
                yield f"{opened.at[place]}{name}[0].", line


def _candidates(fields: Mapping[str, object], known: frozenset[str]) -> Iterator[str]:
    for name, value in fields.items():
        if name not in known and value is not None and _NAME.fullmatch(name) and not is_signal(name):
            yield name


def _meant(name: str, known: frozenset[str]) -> str | None:
    squeezed = {one.lower().translate(_SQUEEZED): one for one in sorted(known)}
    wanted = name.lower().translate(_SQUEEZED)
    if (meant := _MEANINGS.get(wanted)) in known:
        return meant
    close = difflib.get_close_matches(wanted, list(squeezed), n=1, cutoff=_CLOSE)
    return squeezed[close[0]] if close else None
