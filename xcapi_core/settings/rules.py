"""The rules a setting's value must keep: forms of names and references, and the words for what breaks them."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from xcapi_core.settings.document import describe, kind
from xcapi_core.settings.phone_regions import PHONE_REGIONS

__all__ = [
    "CREDENTIALS_FORM",
    "TOPIC_FORM",
    "credentials_fault",
    "credentials_kind",
    "event_tag_fault",
    "is_api_version",
    "is_currency",
    "is_phone_region",
    "is_pixel_id",
    "is_topic",
    "origin",
    "origin_fault",
]

CREDENTIALS_FORM = "projects/…/secrets/…/versions/…, file:PATH or env:NAME"
TOPIC_FORM = "projects/…/topics/… or file:PATH"

_PIXEL_ID = re.compile(r"[0-9a-z]{1,32}")  # X's ids are base-36; it becomes part of X's URL
_TAG_OF_A_PIXEL = re.compile(r"tw-([0-9a-z]{1,16})-.+", re.IGNORECASE)
_SECRET_VERSION = re.compile(r"projects/[^/\s]+/secrets/[A-Za-z0-9_-]{1,255}/versions/[A-Za-z0-9_-]{1,63}")
_SECRET = re.compile(r"projects/[^/\s]+/secrets/[^/\s]+/?")
_ENVIRONMENT_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_FILE = re.compile(r"file:.*\S.*")
_TOPIC = re.compile(r"projects/[^/\s]+/topics/(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}")  # Pub/Sub, resource names
_ORIGIN = re.compile(r"(https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?)/?", re.IGNORECASE)
_API_VERSION = re.compile(r"[0-9]{1,4}")
_CURRENCY_CODE = re.compile(r"[A-Za-z]{3}")
_HIGHEST_PORT = 65_535


def is_pixel_id(text: str) -> bool:
    """Tell whether this can be a pixel's id."""
    return _PIXEL_ID.fullmatch(text) is not None


def event_tag_fault(value: object, pixel_id: str) -> str | None:
    """Return what is wrong with an event tag of a pixel. X alone knows whether the tag exists."""
    if not isinstance(value, str) or not value.strip():
        return describe(value)
    if value != value.strip() or not value.isprintable():
        return "text with space or unprintable characters around it or in it"
    named = _TAG_OF_A_PIXEL.fullmatch(value)
    if named and named[1].lower() != pixel_id.lower():
        return f'a tag of the pixel "{named[1]}"'
    return None


def credentials_kind(reference: str) -> str:
    """Return where a reference to credentials points: "secret_manager", "file", "env", or "" when it is none."""
    if _SECRET_VERSION.fullmatch(reference):
        return "secret_manager"
    if _ENVIRONMENT_VARIABLE.fullmatch(reference):
        return "env"
    return "file" if _FILE.fullmatch(reference) and reference.isprintable() else ""


def credentials_fault(value: object) -> str | None:
    """Return what is wrong with a reference to credentials, without quoting it: it may be a secret by mistake."""
    if not isinstance(value, str) or not value:
        return kind(value)
    if credentials_kind(value):
        return None
    if _SECRET.fullmatch(value):
        return "a secret's name without its version"
    return f"{kind(value)} that is no reference"


def is_topic(text: str) -> bool:
    """Tell whether this names a Pub/Sub topic or a file."""
    return _TOPIC.fullmatch(text) is not None or _FILE.fullmatch(text) is not None


def origin(text: str) -> str | None:
    """Return `scheme://host[:port]` of an https URL that has nothing else, or of an http one to loopback."""
    url = _ORIGIN.fullmatch(text)
    if not url or not 0 < int(url[2] or 1) <= _HIGHEST_PORT:
        return None
    return url[1] if _is_safe(url[1]) else None


def origin_fault(value: object) -> str:
    """Return what is wrong with a URL that is no origin, without quoting it: it may hold a password."""
    if not isinstance(value, str) or not re.match(r"https?://", value, re.IGNORECASE):
        return kind(value)
    for mark, part in (("@", "user information"), ("?", "a query"), ("#", "a fragment")):
        if mark in value:
            return f"a URL with {part}"
    if _ORIGIN.fullmatch(value) and not _is_safe(value):
        return "http to a host that is not loopback"
    return "a URL with a path" if "/" in value.partition("://")[2].rstrip("/") else "a URL without a usable host"


def _is_safe(url: str) -> bool:
    """Tell whether what goes to this origin (identifiers, signatures, tokens) cannot be read on the way."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme.lower() == "https" or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_api_version(text: str) -> bool:
    """Tell whether this is digits."""
    return _API_VERSION.fullmatch(text) is not None


def is_currency(text: str) -> bool:
    """Tell whether this has the form of an ISO 4217 code."""
    return _CURRENCY_CODE.fullmatch(text) is not None


def is_phone_region(text: str) -> bool:
    """Tell whether this is an ISO 3166 code of a region whose phone numbers are known."""
    return text.upper() in PHONE_REGIONS
