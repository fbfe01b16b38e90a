"""A page's address: what of it goes to X, and the click id that its query brings."""

from urllib.parse import unquote_plus

__all__ = ["click_id_of_query", "click_id_of_url", "page_url"]

_PARAMETER = "twclid"
_SCHEMES = frozenset({"http", "https"})


def page_url(address: str) -> str | None:
    """Return scheme, host and path of a page's address, None for what is no http address.

    Queries and fragments hold whatever a site puts there: addresses, search words, tokens. So does the part before an
    "@".
    """
    scheme, mark, rest = address.partition("://")
    rest = rest.partition("#")[0].partition("?")[0]
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    if not mark or not host or host[0] == ":" or scheme.lower() not in _SCHEMES or len(rest.split(None, 1)) != 1:
        return None
    return f"{scheme}://{host}{slash}{path}"


def click_id_of_url(address: object) -> str:
    """Return the `twclid` parameter of an address, "" where it has none."""
    # Nearly every address has none, and this is the cheapest way to know.
    if not isinstance(address, str) or _PARAMETER not in address:
        return ""
    return click_id_of_query(address.partition("#")[0].partition("?")[2])


def click_id_of_query(query: object) -> str:
    """Return the `twclid` parameter of a query, with or without its question mark; "" where it has none."""
    if not isinstance(query, str) or _PARAMETER not in query:
        return ""
    for pair in query.removeprefix("?").split("&"):
        name, _, value = pair.partition("=")
        if name == _PARAMETER and value:
            return unquote_plus(value)
    return ""
