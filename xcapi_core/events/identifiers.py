"""Who converted: e-mails, phones, click ids and addresses, normalised and hashed as X matches them."""

import ipaddress
import re
from hashlib import sha256
from urllib.parse import unquote

import msgspec

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import is_object, read_text

__all__ = ["hash_email", "hash_phone", "is_digest", "read_digest", "read_ip_address", "read_twclid"]

# Pragmatic: one "@", a dotted domain, none of the characters that only quoting allows. U+FFFD is what is left of
# broken text.
_NO_ATOM = r"\s@<>()\[\]\\,;:\"\ufffd"
_EMAIL = re.compile(rf"[^{_NO_ATOM}]+@[^{_NO_ATOM}.]+(?:\.[^{_NO_ATOM}.]+)+")
_LONGEST_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets

_DIGEST_LENGTH = 64
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
# Templates without a value get hashed too; these digests match nobody.
_DIGESTS_OF_NOTHING = frozenset(sha256(word).hexdigest() for word in (b"", b"null", b"undefined"))

_MAPPED_IPV4 = "::ffff:"  # RFC 4291, section 2.5.5.2: how a dual-stack socket shows an IPv4 client
# What IANA's special-purpose registry calls not globally reachable, multicast and reserved space. The documentation
# blocks (RFC 5737) are left in: they are nobody's, and every example is written with them. Not `is_private`:
# it caches its addresses, which are personal.
_NOT_PUBLIC = tuple(
    (int(network.network_address), int(network.broadcast_address))
    for network in map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "224.0.0.0/3",
        ),
    )
)


class _ClickIdCookie(msgspec.Struct):
    twclid: str | int


_COOKIE = msgspec.json.Decoder(_ClickIdCookie)


def hash_email(text: str) -> str | Drop:
    """Return the SHA-256 hex digest of the trimmed, lower-cased address; a digest is passed through, lower-cased.

    No dots or plus tags are taken out: X matches on the address as it is. Unsalted, for the same reason.
    """
    if len(text) == _DIGEST_LENGTH and is_digest(text):
        return read_digest(text, Drop.INVALID_EMAIL)
    address = text.strip().lower()
    if len(address) > _LONGEST_EMAIL or not _EMAIL.fullmatch(address):
        return Drop.INVALID_EMAIL
    return sha256(address.encode()).hexdigest()


def hash_phone(text: str, region: str | None) -> str | Drop:
    """Return the SHA-256 hex digest of the E.164 number, plus sign included; a digest is passed through.

    A number in national format is read as one of `region` (ISO 3166-1 alpha-2); without a region it is dropped,
    never guessed. A leading 00 is a plus sign. Numbers of possible length pass: X's own example, +11234567890, is
    not assigned to anybody.
    """
    if is_digest(text):
        return read_digest(text, Drop.INVALID_PHONE)
    # Ten milliseconds of the start, and only for those whose events have phone numbers.
    import phonenumbers  # noqa: PLC0415

    if text.startswith("00"):
        text = f"+{text[2:]}"
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        lacks_region = region is None and error.error_type == error.INVALID_COUNTRY_CODE and "+" not in text
        return Drop.PHONE_WITHOUT_REGION if lacks_region else Drop.INVALID_PHONE
    if not phonenumbers.is_possible_number(number):
        return Drop.INVALID_PHONE
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return sha256(e164.encode()).hexdigest()


def is_digest(text: str) -> bool:
    """Tell whether `text` is 64 hex digits."""
    return len(text) == _DIGEST_LENGTH and _DIGEST.fullmatch(text) is not None


def read_digest(text: str, otherwise: Drop) -> str | Drop:
    """Return a SHA-256 hex digest lower-cased, DIGEST_OF_NOTHING, or `otherwise` where it is no digest at all."""
    if not is_digest(text):
        return otherwise
    digest = text.lower()
    return Drop.DIGEST_OF_NOTHING if digest in _DIGESTS_OF_NOTHING else digest


def read_twclid(value: object) -> str | Drop:
    """Return X's click id, from itself or from the `_twclid` cookie's JSON, URL-encoded or not. Never hashed."""
    text = read_text(value.get("twclid") if is_object(value) else value)
    if text is None:
        return Drop.INVALID_TWCLID
    if not text.startswith(("{", "%7B", "%7b")):
        return text
    try:
        cookie = _COOKIE.decode(unquote(text) if text[0] == "%" else text)
    except (msgspec.DecodeError, RecursionError):
        return Drop.INVALID_TWCLID
    return read_text(cookie.twclid) or Drop.INVALID_TWCLID


def read_ip_address(text: str) -> str | Drop:
    """Return a public IPv4 address in dotted decimal, X's only form."""
    if text[: len(_MAPPED_IPV4)].lower() == _MAPPED_IPV4:
        text = text[len(_MAPPED_IPV4) :]
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return Drop.INVALID_IP_ADDRESS
    number = int(address)
    for first, last in _NOT_PUBLIC:
        if first <= number <= last:
            return Drop.PRIVATE_IP_ADDRESS
    return text
