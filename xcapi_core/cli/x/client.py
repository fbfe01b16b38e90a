"""A small client of X's Ads API: one signed request, one answer, nothing secret in either's repr."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests

from xcapi_core import __version__
from xcapi_core.adapters.signing import may_carry_token, signer_of
from xcapi_core.cli.foreign_text import printable
from xcapi_core.x_api.credentials import Credentials, PixelToken

__all__ = ["XAnswer", "XClient", "XUnreachableError"]

_TIMEOUT_S: Final = 15.0
_LARGEST_ANSWER: Final = 4 << 20
_MOST_PAGES: Final = 50


class XUnreachableError(Exception):
    """X did not answer. The text says why in plain words, without the URL or anything of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XAnswer:
    """An HTTP answer of X. `errors` are (code, message) pairs; `document` is {} where the body is no JSON object.

    `clock_ahead_s` is how far this machine's clock is ahead of X's `Date` header, None where there is none.
    """

    status: int
    document: Mapping[str, object] = field(repr=False)
    text: str = field(repr=False)
    clock_ahead_s: float | None = None

    @property
    def errors(self) -> tuple[tuple[str, str], ...]:
        """X's errors in X's order; they quote what they are about, without what would steer a terminal."""
        listed = self.document.get("errors")
        entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        return tuple((printable(str(one.get("code", ""))), printable(str(one.get("message", "")))) for one in entries)

    @property
    def words(self) -> str:
        """X's first error as one line, the status alone where X said nothing."""
        return "; ".join(f"{code}: {message}" for code, message in self.errors[:1]) or f"HTTP {self.status}"

    @property
    def account_id(self) -> str | None:
        """The ad account that X names in `request.params`, in refusals too."""
        request = self.document.get("request")
        params = request.get("params") if isinstance(request, dict) else None
        found = params.get("account_id") if isinstance(params, dict) else None
        return found if isinstance(found, str) and found else None


class XClient:
    """Asks X with one set of credentials; blocks. `base_url` and `api_version` are the configuration's."""

    def __init__(self, base_url: str, api_version: str, credentials: Credentials) -> None:
        self._root = f"{base_url}/{api_version}"
        self._credentials = credentials
        self._session = requests.Session()
        # On this machine no proxy of the environment stands between; a real X may be behind one.
        self._session.trust_env = urlsplit(base_url).scheme == "https"
        self._session.headers["User-Agent"] = f"xcapi/{__version__}"

    def get(self, path: str, **parameters: str) -> XAnswer:
        """Read `path`. Raises XUnreachableError."""
        return self._ask("GET", path, params=parameters)

    def post(self, path: str, parameters: Mapping[str, str]) -> XAnswer:
        """Post parameters in the address, as X's Ads API takes them. Raises XUnreachableError."""
        return self._ask("POST", path, params=parameters)

    def post_conversions(self, pixel_id: str, body: bytes) -> XAnswer:
        """Post what X may count: for `xcapi_core.cli.x.questions` alone. Raises XUnreachableError."""
        headers = {"Content-Type": "application/json"}
        return self._ask("POST", f"measurement/conversions/{pixel_id}", data=body, headers=headers)

    def pages(self, path: str) -> Iterator[XAnswer]:
        """Read a listing page by page, up to a refusal. Raises XUnreachableError."""
        cursor: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            answer = self.get(path, count="1000", **cursor)
            yield answer
            following = answer.document.get("next_cursor")
            if not isinstance(following, str) or not following:
                return
            cursor = {"cursor": following}

    def _ask(self, method: str, path: str, **options: object) -> XAnswer:
        url = f"{self._root}/{path}"
        if isinstance(self._credentials, PixelToken) and not may_carry_token(url):
            raise XUnreachableError("a pixel token is not sent over plain http")
        signer = signer_of(self._credentials)
        try:
            response = self._session.request(
                method,
                url,
                auth=signer,
                timeout=_TIMEOUT_S,
                allow_redirects=False,
                stream=True,
                **options,  # type: ignore[arg-type]  # requests' own options, by name
            )
            with response:
                body = response.raw.read(_LARGEST_ANSWER, decode_content=True)
        # `from None`: requests' text holds the URL, and its traceback the signature.
        except requests.Timeout:
            raise XUnreachableError(f"no answer within {_TIMEOUT_S:g} s") from None
        except requests.exceptions.SSLError:
            raise XUnreachableError("the TLS certificate is not one that this machine trusts") from None
        except (requests.RequestException, OSError):
            raise XUnreachableError("no connection: check the network, a proxy, and api_base_url") from None
        return XAnswer(
            status=response.status_code,
            document=_document(body),
            text=body.decode("utf-8", "replace"),
            clock_ahead_s=_clock_ahead_s(response.headers.get("Date", "")),
        )


def _document(body: bytes) -> Mapping[str, object]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _clock_ahead_s(date: str) -> float | None:
    try:
        theirs = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    return (datetime.now(UTC) - theirs.astimezone(UTC)).total_seconds()
