"""Signs a request to X with a pixel's credentials: the one place where requests-oauthlib is told how."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
from requests_oauthlib import OAuth1

from xcapi_core.x_api.credentials import Credentials, PixelToken

__all__ = ["may_carry_token", "signer_of"]


def signer_of(credentials: Credentials) -> requests.auth.AuthBase:
    """Return what signs a request of `requests`.

    X, "Creating a signature": HMAC-SHA1 over oauth_* only; a JSON body is no part of it (RFC 5849 section 3.4.1.3.1).
    """
    if isinstance(credentials, PixelToken):
        return _TokenSigner(credentials.pixel_token)
    return OAuth1(
        credentials.consumer_key,
        client_secret=credentials.consumer_secret,
        resource_owner_key=credentials.access_token,
        resource_owner_secret=credentials.access_token_secret,
    )


def may_carry_token(url: str) -> bool:
    """Tell whether a token is safe on the way: it is its own proof, and plain http gives it away."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return True
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _TokenSigner(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Pixel-Token"] = self._token
        return request
