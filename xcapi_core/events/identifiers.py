"""Who converted: e-mails, phones and click ids, normalised and hashed as X matches them."""

import re
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

from xcapi_core.events.drops import Drop
from xcapi_core.events.fields import WORDS_FOR_NOTHING, cut_invisible, is_object, json_in_text, read_id, read_text
from xcapi_core.events.phones import e164_of, is_e164

__all__ = ["hash_email", "hash_phone", "is_digest", "read_digest", "read_twclid"]

# Pragmatic: one "@", none of the characters that only quoting allows, and a dotted domain of alphanumerics
# and hyphens, in any script. U+FFFD is what is left of broken text.
_NO_ATOM: Final = r"\s@<>()\[\]\\,;:\"\ufffd"
_LETTERS: Final = (
    r"[0-9a-z\u00c0-\u1fff\u2c00-\u2dff\u3005-\u3007\u3041-\ufdff\uff10-\uff19\uff41-\uff5a\uff66-\uffdc"
    r"\U00010000-\U0010ffff]+"
)
_LABEL: Final = rf"{_LETTERS}(?:-+{_LETTERS})*"
_EMAIL: Final = re.compile(rf"[^{_NO_ATOM}]+@(?:{_LABEL}\.)+(?![0-9]+$){_LABEL}")
# What nearly every address is: as it stands it matches the other pattern, once it is in lower case.
_ORDINARY_EMAIL: Final = re.compile(r"[0-9A-Za-z._+-]++@(?:[0-9A-Za-z]++[.-])*?[0-9A-Za-z]++\.[A-Za-z]++")
_LONGEST_EMAIL: Final = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets

_DIGEST_LENGTH: Final = 64
_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{64}")

# What data frames and spreadsheets make of a number without its plus sign: 31612345678.0, 3.16E+10.
_FRACTION: Final = re.compile(r"(\+?[0-9]{7,})\.0")
_ROUNDED_NUMBER: Final = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+")

_CLICK_ID: Final = re.compile(r"[0-9A-Za-z_-]+")
# Longer than any one word for nothing.
_LONG_CLICK_ID: Final = 20
# A parameter of a query or a cookie among others, whose value may be JSON.
_CLICK_ID_AMONG_OTHERS: Final = re.compile(r"(?:^|[?&;\s])_?twclid=(\{[^}]*\}|[^&;#\s]*)")
_CLICK_ID_BEFORE_OTHERS: Final = re.compile(r"([0-9A-Za-z_%-]+)[&?#;]")
_CLICK_ID_NAMES: Final = ("twclid", "_twclid")
# A cookie's value, encoded twice, in JSON, in a query, encoded twice again: nobody has more.
_MOST_WRAPPINGS: Final = 8


def _digests_of_nothing() -> frozenset[str]:
    """Return the digests of what stands in for an address or number that is not there."""
    words = {*WORDS_FOR_NOTHING, "(not set)", "(other)", "(data not available)", "<null>", "optional(nil)"}
    words |= {"-", " ", "+", "{}", "[]", '""', "[object object]"}
    forms = {form for word in words for form in (word, word.upper(), word.title(), word.capitalize())}
    return frozenset(sha256(form.encode()).hexdigest() for form in {*forms, "NaN", "[object Object]", "Optional(nil)"})


# Templates without a value get hashed too; these digests match nobody.
_DIGESTS_OF_NOTHING: Final = _digests_of_nothing()


def hash_email(value: object) -> str | Drop:
    """Return the SHA-256 hex digest of the trimmed, lower-cased address; a digest is passed through, lower-cased.

    No dots or plus tags are taken out: X matches on the address as it is. Unsalted, for the same reason.
    """
    if isinstance(value, str) and len(value) <= _LONGEST_EMAIL and _ORDINARY_EMAIL.fullmatch(value):
        return _digest_of(value.lower())
    address = cut_invisible(read_text(value) or "").strip().lower()
    if is_digest(address):
        return read_digest(address, Drop.INVALID_EMAIL)
    if len(address) > _LONGEST_EMAIL or not _EMAIL.fullmatch(address):
        return Drop.INVALID_EMAIL
    return _digest_of(address)


def hash_phone(value: object, region: str | None) -> str | Drop:
    """Return the SHA-256 hex digest of the E.164 number, plus sign included; a digest is passed through.

    A number in national format is read as one of `region` (ISO 3166-1 alpha-2); without a region it is dropped,
    never guessed. A leading 00 is a plus sign. Numbers of possible length pass: X's own example, +11234567890, is
    not assigned to anybody.
    """
    if isinstance(value, str) and is_e164(value):
        return _digest_of(value)
    text = cut_invisible((read_text(value) if isinstance(value, str) else read_id(value)) or "").strip()
    if is_digest(text):
        return read_digest(text, Drop.INVALID_PHONE)
    if _ROUNDED_NUMBER.fullmatch(text) is not None:
        return Drop.INVALID_PHONE
    if (found := _FRACTION.fullmatch(text)) is not None:
        text = found[1]
    number = e164_of(text, region)
    return number if isinstance(number, Drop) else _digest_of(number)


def _digest_of(text: str) -> str:
    # OpenSSL looks for a digest that is fit for security in more time than it takes to make this one.
    return sha256(text.encode(), usedforsecurity=False).hexdigest()


def is_digest(text: str) -> bool:
    """Tell whether `text` is 64 hex digits."""
    return len(text) == _DIGEST_LENGTH and _DIGEST.fullmatch(text) is not None


def read_digest(value: object, otherwise: Drop) -> str | Drop:
    """Return a SHA-256 hex digest lower-cased, DIGEST_OF_NOTHING, or `otherwise` where it is no digest at all."""
    digest = cut_invisible(read_text(value) or "").strip().lower()
    if not is_digest(digest):
        return otherwise
    return Drop.DIGEST_OF_NOTHING if digest in _DIGESTS_OF_NOTHING else digest


def read_twclid(value: object) -> str | Drop:
    """Return X's click id, from itself, a query or the `_twclid` cookie, in JSON or not, URL-encoded or not.

    Never hashed.
    """
    # As nearly all are; digits alone may be a long zero.
    if (
        isinstance(value, str)
        and len(value) >= _LONG_CLICK_ID
        and value.isalnum()
        and value.isascii()
        and not value.isdigit()
    ):
        return value
    for _ in range(_MOST_WRAPPINGS):
        if isinstance(value, str):
            text = cut_invisible(value).strip()
            if _CLICK_ID.fullmatch(text):
                break
            value = _unwrapped(text)
        elif is_object(value):
            value = next((value[name] for name in _CLICK_ID_NAMES if value.get(name) is not None), None)
        else:
            break
    click_id = read_id(value)
    return click_id if click_id is not None and _CLICK_ID.fullmatch(click_id) else Drop.INVALID_TWCLID


def _unwrapped(text: str) -> object:
    """Take off the outermost of what is around a click id."""
    cookie = json_in_text(text)
    if cookie is not text:
        return cookie
    if found := _CLICK_ID_AMONG_OTHERS.search(text) or _CLICK_ID_BEFORE_OTHERS.match(text):
        return found[1]
    bare = text.strip("\"'")
    return bare if bare != text else unquote(text)
