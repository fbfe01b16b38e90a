"""The keys that sign for a pixel: what a secret's payload holds, and values that cannot print themselves."""

import codecs

import msgspec

from xcapi_core.records import Record

__all__ = ["Credentials", "CredentialsError", "OAuth1Keys", "PixelToken", "read_credentials"]


class OAuth1Keys(Record, frozen=True, kw_only=True, gc=False):
    """OAuth 1.0a user context: the app's consumer key and secret, the user's access token and secret."""

    consumer_key: str
    consumer_secret: str
    access_token: str
    access_token_secret: str


class PixelToken(Record, frozen=True, kw_only=True, gc=False):
    """The pixel-scoped token of Events Manager, sent as `X-Pixel-Token`."""

    pixel_token: str


Credentials = OAuth1Keys | PixelToken


class CredentialsError(Exception):
    """A payload holds no usable keys. The text names keys of the JSON object, never a value."""


# Editors and shells put a byte order mark before what they save; PowerShell writes UTF-16.
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OAUTH1 = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
_TOKEN = ("pixel_token",)
_EXPECTED = f"expected {{{', '.join(_OAUTH1)}}} or {{pixel_token}}, each a text"


def read_credentials(payload: bytes) -> Credentials:
    """Read a secret's payload: one JSON object with the OAuth four or a pixel token.

    Surrounding white space is cut from each value: keys are pasted, and a newline at the end signs wrongly.
    Raises CredentialsError, which says what is missing.
    """
    try:
        document = msgspec.json.decode(_text(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # `from None`: the decoder's message may stand beside the payload in a traceback.
        raise CredentialsError(f"the secret is no JSON; {_EXPECTED}") from None
    if not isinstance(document, dict):
        raise CredentialsError(f"the secret is JSON, but no object; {_EXPECTED}")
    values = {key: value.strip() for key in (*_OAUTH1, *_TOKEN) if isinstance(value := document.get(key), str)}
    present = [key for key, value in values.items() if value and _is_header_safe(value)]
    if "pixel_token" in present and not any(key in document for key in _OAUTH1):
        return PixelToken(pixel_token=values["pixel_token"])
    missing = [key for key in _OAUTH1 if key not in present]
    if missing:
        raise CredentialsError(f"the secret lacks a usable {', '.join(missing)}; {_EXPECTED}")
    return OAuth1Keys(**{key: values[key] for key in _OAUTH1})


def _text(payload: bytes) -> bytes | str:
    encoding = next((name for mark, name in _ENCODINGS if payload.startswith(mark)), None)
    return payload.decode(encoding) if encoding else payload


def _is_header_safe(value: str) -> bool:
    """Keys travel in HTTP headers: visible ASCII only."""
    return all("!" <= character <= "~" for character in value)
