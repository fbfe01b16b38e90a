"""The three legs of OAuth 1.0a with a PIN (RFC 5849, `oauth_callback=oob`), by requests-oauthlib.

Source: X, "PIN-based authorization".
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

import requests
from requests_oauthlib import OAuth1Session
from requests_oauthlib.oauth1_session import TokenMissing, TokenRequestDenied

from xcapi_core.x_api.credentials import OAuth1Keys

__all__ = ["Authorization", "AuthorizationError", "oauth_host"]

_HOSTS_OF_X: Final = frozenset({"ads-api.x.com", "ads-api.twitter.com"})


class AuthorizationError(Exception):
    """A leg failed; the text says why and what to do, without any key."""


def oauth_host(api_base_url: str) -> str:
    """Return where the three legs are: api.x.com for X itself, the same host for anything else."""
    return "https://api.x.com" if urlsplit(api_base_url).hostname in _HOSTS_OF_X else api_base_url


class Authorization:
    """One run through the three legs. `begin` gives the address to open, `finish` takes the PIN."""

    def __init__(self, host: str, consumer_key: str, consumer_secret: str) -> None:
        self._host = host
        self._app = (consumer_key, consumer_secret)
        self._session = OAuth1Session(consumer_key, client_secret=consumer_secret, callback_uri="oob")

    def begin(self) -> str:
        """Ask for a request token and return the address to open. Raises AuthorizationError."""
        token = self._fetch(
            "request_token",
            refused="X does not take the app's consumer key and secret: copy both again from the developer portal, and "
            "switch on OAuth 1.0a in the app's user authentication settings.",
        )
        return f"{self._host}/oauth/authorize?{urlencode({'oauth_token': token['oauth_token']})}"

    def finish(self, pin: str) -> tuple[OAuth1Keys, str]:
        """Trade the PIN for a token; return the four keys and the user's handle. Raises AuthorizationError."""
        self._session.auth.client.verifier = pin
        token = self._fetch(
            "access_token", refused="X does not take this PIN: it serves once and for a few minutes. Start again."
        )
        keys = OAuth1Keys(
            consumer_key=self._app[0],
            consumer_secret=self._app[1],
            access_token=token["oauth_token"],
            access_token_secret=token["oauth_token_secret"],
        )
        return keys, token.get("screen_name", "")

    def _fetch(self, leg: str, *, refused: str) -> Mapping[str, str]:
        fetch = self._session.fetch_request_token if leg == "request_token" else self._session.fetch_access_token
        # `from None` throughout: requests-oauthlib's texts hold what X answered, and its tracebacks the keys.
        try:
            token: Mapping[str, str] = fetch(f"{self._host}/oauth/{leg}")
        except TokenRequestDenied as error:
            status = error.status_code
            raise AuthorizationError(refused if status in (400, 401, 403) else f"X answered {status}.") from None
        except (TokenMissing, ValueError):
            raise AuthorizationError("What answered was not X: check api_base_url and any proxy.") from None
        except (requests.RequestException, OSError):
            raise AuthorizationError(f"{self._host} could not be reached.") from None
        return token
