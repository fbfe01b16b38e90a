"""Ordinary values are accepted by a pattern of their own: what it says must be what the rules behind it say."""

from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from xcapi_core.events.fields import read_id
from xcapi_core.events.identifiers import hash_email, read_twclid
from xcapi_core.events.ip_addresses import read_ip_address
from xcapi_core.events.pages import page_url

# Not printable, so no pattern for ordinary values takes a text with it; and every rule cuts it.
INVISIBLE = "\u200b"

_LABELS = st.text("abcXYZ019-_.+%'&@ ", max_size=8)
_WORDS = st.sampled_from(
    ["undefined", "null", "none", "0", "00", "false", "N/A", "[object ", "{{x}}", "%7B%7Bx%7D%7D", "__X__"]
)
_IDS = st.lists(_WORDS | st.text("abcUNDund019-_.:#/% []{}<>", max_size=6), max_size=4).map("".join)
_EMAILS = st.builds(
    "{}@{}.{}".format, _LABELS, _LABELS, st.sampled_from(["com", "c0m", "COM", "c", "1", "example.co.uk", ""])
)
# Parts of addresses in and out of their order, so that every mark of one comes where it belongs and where it does not.
_PAGES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["https://", "http://", "HTTPS://", "https:/", "https%3A%2F%2F", " https://", "ftp://", ""]),
    st.sampled_from(
        ["shop.example", "Shop-1.example.", "u@shop.example", "shop.example:8080", "sh op", "[::1]", "ü.de"]
    ),
    st.lists(
        st.sampled_from([*"/?#@:% \t\n\\;=&.", "~", "\x7f", "thanks", "%20", "ü", INVISIBLE, "\ud800"]), max_size=6
    ).map("".join),
)
_OCTETS = st.integers(0, 300).map(str) | st.sampled_from(["01", "", "x"])
_ADDRESSES = st.lists(_OCTETS, min_size=3, max_size=5).map(".".join)


def _agree(read: Callable[[str], object], text: str) -> None:
    # In front of it, since white space at the end is cut before and after alike.
    assert read(text) == read(INVISIBLE + text)


@given(_IDS)
@example("A1")
@example("order-undefined")
def test_an_id_that_is_ordinary_reads_as_any_other(text: str) -> None:
    _agree(read_id, text)
    _agree(read_twclid, text)


@given(_EMAILS)
@example("jane@example.com")
def test_an_ordinary_email_hashes_as_any_other(text: str) -> None:
    _agree(hash_email, text)


@given(_ADDRESSES)
@example("203.0.113.7")
@example("172.31.255.255")
def test_an_ordinary_address_reads_as_any_other(text: str) -> None:
    _agree(read_ip_address, text)


@given(_PAGES)
@example("https://shop.example/thanks?order=A1#top")
@example("http://shop.example")
@example("https://shop.example?a=https://u@b.example/")
@example("https://shop.example/a@b")
@example("https://u@shop.example/")
@example("https://shop.example:80/a b")
@example("https://shop.example/\x7f")
@example("https:///thanks")
@example("https://:80/thanks")
def test_an_ordinary_page_reads_as_any_other(text: str) -> None:
    # White space in front of an address is cut, and no pattern for ordinary pages takes it.
    assert page_url(text) == page_url(f" {text}")
