"""How the sandbox's tests talk to it: with the client libraries that people use."""

from typing import Any

import requests
from requests_oauthlib import OAuth1

from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS, OAuthKeys
from xcapi_core.sandbox.server import SandboxServer

__all__ = ["OTHER_KEYS", "PIXEL_TOKEN", "conversion", "post", "signed_by"]

PIXEL_TOKEN = DEMO_PIXEL_TOKENS["o8z6j"][0]
OTHER_KEYS = OAuthKeys(
    consumer_key="AnotherConsumerKey",
    consumer_secret="AnotherConsumerSecret",
    access_token="AnotherAccessToken",
    access_token_secret="AnotherAccessTokenSecret",
)


def conversion(**changes: object) -> dict[str, object]:
    """Return a conversion that X accepts, with changes; a change to None takes the field away."""
    good: dict[str, object] = {
        "conversion_time": "2026-04-20T12:34:56.000Z",
        "event_id": "o8z21",
        "identifiers": [{"twclid": "23opevjt88psuo13lu8d020qkn"}],
        "conversion_id": "order-1",
        "value": "20.00",
        "price_currency": "USD",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed_by(keys: OAuthKeys = DEMO_OAUTH_KEYS, **options: Any) -> OAuth1:
    """Return requests-oauthlib's signer with these keys."""
    return OAuth1(keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret, **options)


def post(
    sandbox: SandboxServer, *conversions: object, pixel_id: str = "o8z6j", auth: OAuth1 | None = None, **options: Any
) -> requests.Response:
    """Send conversions with the demo's OAuth keys; `options` are those of requests.post and win."""
    options.setdefault("json", {"conversions": list(conversions)})
    options.setdefault("timeout", 60)
    url = f"{sandbox.url}/12/measurement/conversions/{pixel_id}"
    if "X-Pixel-Token" not in options.get("headers", {}):
        options["auth"] = auth or signed_by()
    return requests.post(url, allow_redirects=False, **options)  # noqa: S113  the timeout is among the options
