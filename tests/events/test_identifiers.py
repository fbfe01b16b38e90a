"""Normalising and hashing: the published vectors, and what the case tables cannot hold."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from xcapi_core.events.drops import Drop
from xcapi_core.events.identifiers import hash_email, hash_phone, is_digest, read_digest, read_twclid
from xcapi_core.events.ip_addresses import read_ip_address

_VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "hashes.json").read_text())


@pytest.mark.parametrize("vector", _VECTORS["email"], ids=lambda vector: vector["source"])
def test_email_hashes_to_the_published_digest(vector: dict[str, str]) -> None:
    assert hash_email(vector["input"]) == vector["sha256"]


@pytest.mark.parametrize("vector", _VECTORS["phone"], ids=lambda vector: vector["source"])
def test_phone_hashes_to_the_published_digest(vector: dict[str, str]) -> None:
    assert hash_phone(vector["input"], None) == vector["sha256"]


@pytest.mark.parametrize("vector", _VECTORS["email"] + _VECTORS["phone"], ids=lambda vector: vector["source"])
def test_digest_is_never_hashed_again(vector: dict[str, str]) -> None:
    for digest in (vector["sha256"], vector["sha256"].upper()):
        assert hash_email(digest) == vector["sha256"]
        assert hash_phone(digest, "US") == vector["sha256"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a@",
        "@example.com",
        "a@b@example.com",
        "a b@example.com",
        "a@example..com",
        "a@.example.com",
        "a@example.com.",
        "<a@example.com>",
        "mailto:a@example.com",
        "a@exam\ufffdple.com",
        f"{'a' * 250}@example.com",
    ],
)
def test_what_is_no_email_address_is_dropped(text: str) -> None:
    assert hash_email(text) is Drop.INVALID_EMAIL


@pytest.mark.parametrize("local", ["a" * 242, "o'" + "a" * 240], ids=["ordinary", "not ordinary"])
def test_email_address_may_have_254_characters_and_no_more(local: str) -> None:
    longest = f"{local}@example.com"
    assert len(longest) == 254
    assert hash_email(longest) == sha256(longest.encode()).hexdigest()
    assert hash_email(f"a{longest}") is Drop.INVALID_EMAIL


def test_email_address_as_long_as_a_digest_is_an_address() -> None:
    address = f"{'a' * 52}@example.com"
    assert len(address) == 64
    assert hash_email(address) == sha256(address.encode()).hexdigest()


@pytest.mark.parametrize("text", ["a" * 63, "a" * 65, "g" * 64, ""])
def test_digest_has_64_hex_digits(text: str) -> None:
    assert not is_digest(text)
    assert read_digest(text, Drop.INVALID_HASHED_EMAIL) is Drop.INVALID_HASHED_EMAIL
    assert hash_email(text) is Drop.INVALID_EMAIL
    assert hash_phone(text, "US") is Drop.INVALID_PHONE


@pytest.mark.parametrize(
    "given",
    [
        "2-a_B9",
        " 2-a_B9\t",
        "2\u200b-a_B9",
        '"2-a_B9"',
        '2-a_B9"',
        "'2-a_B9'",
        "2%2Da%5FB9",
        "2%252Da%255FB9",
        "twclid=2-a_B9",
        "_twclid=2-a_B9",
        "?twclid=2-a_B9",
        "?utm_source=x&twclid=2-a_B9&utm_medium=undefined",
        "?utm_source=x&amp;twclid=2-a_B9&amp;utm_medium=y",
        "https://shop.example/thanks?twclid=2-a_B9#top",
        "https%3A%2F%2Fshop.example%2F%3Ftwclid%3D2-a_B9%26utm_source%3Dx",
        "2-a_B9&utm_source=twitter",
        "2-a_B9&amp;utm_source=twitter",
        "2%2Da_B9&utm_source=twitter",
        {"twclid": "2-a_B9", "timestamp": 1776688000000},
        '{"twclid": "2-a_B9", "timestamp": 1776688000000}',
        '{"twclid": "2%2Da_B9"}',
        "%7B%22twclid%22%3A%222-a_B9%22%7D",
        "%7b%22twclid%22:%222-a_B9%22%7d",
        "%257B%2522twclid%2522%253A%25222-a_B9%2522%257D",
        "_twclid=%7B%22twclid%22%3A%222-a_B9%22%7D; _ga=GA1.2.3",
        '_ga=GA1.2.3; _twclid={"pageUrl": "x", "twclid": "2-a_B9"}; x=y',
        '"{\\"twclid\\": \\"2-a_B9\\"}"',
    ],
)
def test_click_id_is_found_in_whatever_is_around_it(given: object) -> None:
    assert read_twclid(given) == "2-a_B9"


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            " ",
            "\u200b",
            "null",
            "None",
            "(not set)",
            "undefined",
            "0",
            "0" * 26,
            "-",
            "N/A",
            "{{twclid}}",
            "${twclid}",
            "%TWCLID%",
        ),
        *(
            "[twclid]",
            "{twclid}",
            "<twclid>",
            "__TWCLID__",
            "%%TWCLID%%",
            "%7B%7Btwclid%7D%7D",
            "twclid=",
            "?twclid=&a=b",
        ),
        *(
            "twclid={{twclid}}",
            "?twclid=undefined",
            '{"twclid": "null"}',
            '{"twclid": null}',
            '{"gclid": "a"}',
            "{",
            "%7B",
        ),
        *(
            "a b",
            "a.b",
            "a+b",
            "a/b==",
            "a@b.example",
            "a\ufffd",
            "é",
            "[object Object]",
            True,
            False,
            1.5,
            0,
            None,
            [],
            ["a"],
        ),
        *("%25" * 20, "\ud800", '{"twclid": ' * 5_000),
    ],
)
def test_what_is_no_click_id_is_dropped(given: object) -> None:
    assert read_twclid(given) is Drop.INVALID_TWCLID


@pytest.mark.parametrize(("wrappings", "found"), [(8, "2-a_B9"), (9, Drop.INVALID_TWCLID)])
def test_click_id_is_looked_for_in_so_many_wrappings(wrappings: int, found: object) -> None:
    given: object = "2-a_B9"
    for _ in range(wrappings):
        given = {"twclid": given}
    assert read_twclid(given) == found


def test_region_makes_a_national_number_international() -> None:
    national, international = "(415) 555-2671", "+1 415-555-2671"
    assert hash_phone(national, None) is Drop.PHONE_WITHOUT_REGION
    assert hash_phone(national, "US") == hash_phone(international, None) == hash_phone(international, "DE")
    assert hash_phone(national, "US") == "cb6880e416769253645cb9c6b8989154bf66a56a77fc14c81fb1019663cbb928"  # sha256sum


# The edges of each block of IANA's IPv4 special-purpose registry, and their public neighbours.
@pytest.mark.parametrize(
    ("first", "last", "neighbours"),
    [
        ("0.0.0.0", "0.255.255.255", ["1.0.0.0"]),
        ("10.0.0.0", "10.255.255.255", ["9.255.255.255", "11.0.0.0"]),
        ("100.64.0.0", "100.127.255.255", ["100.63.255.255", "100.128.0.0"]),
        ("127.0.0.0", "127.255.255.255", ["126.255.255.255", "128.0.0.0"]),
        ("169.254.0.0", "169.254.255.255", ["169.253.255.255", "169.255.0.0"]),
        ("172.16.0.0", "172.31.255.255", ["172.15.255.255", "172.32.0.0"]),
        ("192.0.0.0", "192.0.0.255", ["191.255.255.255", "192.0.1.0"]),
        ("192.168.0.0", "192.168.255.255", ["192.167.255.255", "192.169.0.0"]),
        ("198.18.0.0", "198.19.255.255", ["198.17.255.255", "198.20.0.0"]),
        ("224.0.0.0", "255.255.255.255", ["223.255.255.255"]),
    ],
)
def test_special_purpose_block_is_private_and_its_neighbours_are_not(
    first: str, last: str, neighbours: list[str]
) -> None:
    assert read_ip_address(first) is Drop.PRIVATE_IP_ADDRESS
    assert read_ip_address(last) is Drop.PRIVATE_IP_ADDRESS
    assert [read_ip_address(address) for address in neighbours] == neighbours


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.256", "01.2.3.4", "x", "a.host.203.0.113.7", "unknown", "1.2.3.4:x"]
)
def test_what_is_no_address_is_dropped(text: str) -> None:
    assert read_ip_address(text) is Drop.INVALID_IP_ADDRESS


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7:54321", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.1", "203.0.113.7"),
        ("10.0.0.1, 203.0.113.7", "203.0.113.7"),
        ("unknown, 203.0.113.7:80,198.51.100.9", "203.0.113.7"),
        ("203.0.113.7,2001:db8::1", "203.0.113.7"),
        ("fe80::1%eth0, 203.0.113.7", "203.0.113.7"),
        ("::1, 203.0.113.7", "203.0.113.7"),
        ("2001:1ff:ffff::, 203.0.113.7", "203.0.113.7"),
        ("2002::, 203.0.113.7", "203.0.113.7"),
        ("fec0::1, 203.0.113.7", "203.0.113.7"),
        ('"203.0.113.7"', "203.0.113.7"),
        ("'203.0.113.7'", "203.0.113.7"),
        (" 203.0.113.7\t", "203.0.113.7"),
        ("\u200e203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
        ("::ffff:10.0.0.1, 203.0.113.7", "203.0.113.7"),
    ],
)
def test_first_public_address_is_taken_out_of_what_is_around_it(text: str, address: str) -> None:
    assert read_ip_address(text) == address


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("2001:db8::1", Drop.IPV6_ADDRESS),
        ("[2001:db8::1]:443", Drop.IPV6_ADDRESS),
        ("2606:4700::1111, 203.0.113.7", Drop.IPV6_ADDRESS),  # the second is a proxy's
        ("2001:db8::1, 203.0.113.7", Drop.IPV6_ADDRESS),
        ("10.0.0.1, 2606:4700::1111, 203.0.113.7", Drop.IPV6_ADDRESS),
        ("2000::, 203.0.113.7", Drop.IPV6_ADDRESS),
        ("2001:200::, 203.0.113.7", Drop.IPV6_ADDRESS),
        ("3ffe::, 203.0.113.7", Drop.IPV6_ADDRESS),
        ("::1", Drop.IPV6_ADDRESS),
        ("::", Drop.IPV6_ADDRESS),
        ("0.0.0.0", Drop.PRIVATE_IP_ADDRESS),
        ("10.0.0.1:80", Drop.PRIVATE_IP_ADDRESS),
        ("10.0.0.1, 192.168.0.1", Drop.PRIVATE_IP_ADDRESS),
        ("::ffff:10.0.0.1", Drop.PRIVATE_IP_ADDRESS),
    ],
)
def test_address_that_nobody_can_be_matched_by_is_dropped(text: str, drop: Drop) -> None:
    assert read_ip_address(text) is drop
