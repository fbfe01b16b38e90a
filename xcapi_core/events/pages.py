"""A page's address: what of it goes to X, and the click id that its query brings."""

import re
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

from xcapi_core.events.fields import cut_invisible

__all__ = ["click_id_of_query", "click_id_of_url", "page_url", "source_url"]

_PARAMETER: Final = "twclid"
_ADDRESS: Final = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_ENCODED_AS_A_WHOLE: Final = re.compile(r"https?%[0-9a-f]{2}", re.IGNORECASE)
# Scheme, host and path as nearly every page has them, before its query.
_ORDINARY_PAGE: Final = re.compile(r"(https?://[0-9A-Za-z.-]+(?:/[!-\"$->@-~]*)?)(?:[?#]|\Z)")
# The click id of an ordinary address: what nothing has to be undone of, up to its end.
_ORDINARY_CLICK_ID: Final = re.compile(
    r"https?://[^?#%;\s]*\?(?:(?!twclid=)[^&#%;\s]*&)*+twclid=([0-9A-Za-z]+)(?=[&#]|\Z)"
)
_MOST_ENCODINGS: Final = 3
# All of ASCII that shows, so that nothing but spaces and other scripts is encoded, and nothing twice.
_KEPT: Final = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def source_url(text: str) -> str | None:
    """Return an address as it was given, percent-encoded where it has to be; None for what is no http address."""
    address = _decoded(text)
    if _ADDRESS.match(address) is None or " " in re.split("[/?#]", address, maxsplit=3)[2]:
        return None
    return _encoded(address)


def page_url(text: str) -> str | None:
    """Return scheme, host and path of a page's address, None for what is no http address.

    Queries and fragments hold whatever a site puts there: addresses, search words, tokens. So does the part before an
    "@".
    """
    if (page := _ORDINARY_PAGE.match(text)) is not None:
        return page[1]
    address = _decoded(text)
    if _ADDRESS.match(address) is None:
        return None
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("#")[0].partition("?")[0].partition("/")
    host = host.rpartition("@")[2]
    if not host or host[0] == ":" or len(host.split(None, 1)) != 1 or host != host.strip():
        return None
    return _encoded(f"{scheme}://{host}{slash}{path}")


def click_id_of_url(address: object) -> str:
    """Return the `twclid` parameter of an address, "" where it has none."""
    # Nearly every address has none, and this is the cheapest way to know.
    if not isinstance(address, str) or _PARAMETER not in address:
        return ""
    if (found := _ORDINARY_CLICK_ID.match(address)) is not None:
        return found[1]
    return click_id_of_query(_decoded(address).partition("#")[0].partition("?")[2])


def click_id_of_query(query: object) -> str:
    """Return the `twclid` parameter of a query, with or without its question mark; "" where it has none."""
    if not isinstance(query, str) or _PARAMETER not in query:
        return ""
    for pair in query.removeprefix("?").replace("&amp;", "&").split("&"):
        name, _, value = pair.partition("=")
        if name == _PARAMETER and value:
            return unquote_plus(value)
    return ""


def _decoded(text: str) -> str:
    """Return an address that may have been URL-encoded as a whole, trimmed."""
    address = text.strip()
    for _ in range(_MOST_ENCODINGS):
        if _ENCODED_AS_A_WHOLE.match(address) is None:
            break
        address = unquote(address)
    return address


def _encoded(address: str) -> str:
    if address.isascii() and address.isprintable() and " " not in address:
        return address
    return quote(cut_invisible(address), safe=_KEPT, errors="replace")
