"""What X accepts as a conversion's identifiers: which stand alone, and how each is written. Pure."""

import re
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from xcapi_core.sandbox.answers import ApiError
from xcapi_core.sandbox.wording import Words, shown

__all__ = ["Report", "Warn", "judge_identifiers"]

Report = Callable[[ApiError], None]
Warn = Callable[[str], None]

_SHA256_FORM = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)

_EMPTY_DIGESTS: Final = frozenset(
    {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",  # the empty string
        "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",  # "null"
        "eb045d78d273107348b0300c01d29b7552d622abbc6faf81b3ec55359aa9950c",  # "undefined"
    }
)
_IDENTIFIERS: Final = frozenset({"twclid", "hashed_email", "hashed_phone_number", "ip_address", "user_agent"})
_STANDS_ALONE: Final = ("twclid", "hashed_email", "hashed_phone_number")
_NO_IDENTIFIER: Final = ApiError("INVALID_PARAMETER", "At least one user identifier must be provided", "")


def judge_identifiers(found: object, words: Words, report: Report, warn: Warn) -> None:
    """Judge a conversion's `identifiers`, each element by itself."""
    if found is None or found == []:
        report(_NO_IDENTIFIER)
        return
    if not isinstance(found, list):
        report(words.expected("Array", found, "identifiers"))
        return
    for element in found:
        if isinstance(element, dict):
            _judge_identifier(element, words, report, warn)
        else:
            report(words.expected("Object", element, "identifiers"))


def _judge_identifier(element: Mapping[str, object], words: Words, report: Report, warn: Warn) -> None:
    """Judge one element by itself: X does not look at its neighbours."""
    present = {name for name in _IDENTIFIERS if element.get(name) not in (None, "")}
    if not present.intersection(_STANDS_ALONE):
        if present >= {"ip_address", "user_agent"}:
            warn("ip_address and user_agent alone: X accepts them but says not to rely on them")
        else:
            report(_NO_IDENTIFIER)
    for name in sorted(present):
        value = element[name]
        if isinstance(value, str):
            _judge_identifier_value(name, value, words, report, warn)
        else:
            report(words.expected("String", value, name))
    for name in element:
        if name not in _IDENTIFIERS:
            warn(f"unknown identifier {shown(name)}: X does not document it")


def _judge_identifier_value(name: str, value: str, words: Words, report: Report, warn: Warn) -> None:
    match name:
        case "hashed_email" | "hashed_phone_number":
            _judge_digest(name, value, words, report, warn)
        case "ip_address" if not _is_ipv4(value):
            report(words.invalid(name, value, "is not a valid IP address"))
        case "twclid" if _SHA256_FORM.fullmatch(value):
            warn("twclid looks hashed: X wants the raw click id")
        case "twclid" if value.startswith(("%7B", "{")):
            warn("twclid is the whole _twclid cookie: X wants the click id inside it")


def _judge_digest(name: str, value: str, words: Words, report: Report, warn: Warn) -> None:
    if not _SHA256_FORM.fullmatch(value):
        report(words.invalid(name, value, "is not a valid SHA-256 hash"))
    elif value.lower() in _EMPTY_DIGESTS:
        warn(f"{name} is the digest of nothing: it matches nobody")
    elif value != value.lower():
        warn(f"{name} is in upper case: X matches on the lower-case digest")


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True
