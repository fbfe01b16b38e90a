"""What the end-to-end tests deploy: names, keys and configuration."""

import json

from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS, OAuthKeys

__all__ = [
    "DEAD_LETTER_TOPIC",
    "OAUTH_SECRET",
    "PROJECT",
    "TOKEN_SECRET",
    "deployed_configuration",
    "oauth_payload",
    "token_payload",
]

PROJECT = "test-project"
OAUTH_SECRET = f"projects/{PROJECT}/secrets/x-ads-o8z6j"
TOKEN_SECRET = f"projects/{PROJECT}/secrets/x-ads-p9q7k"
DEAD_LETTER_TOPIC = f"projects/{PROJECT}/topics/conversions-dead-letter"


def oauth_payload(keys: OAuthKeys = DEMO_OAUTH_KEYS) -> bytes:
    """Return a secret's payload with the OAuth four."""
    names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    return json.dumps({name: getattr(keys, name) for name in names}).encode()


def token_payload(token: str = DEMO_PIXEL_TOKENS["p9q7k"][0]) -> bytes:
    """Return a secret's payload with a pixel token."""
    return json.dumps({"pixel_token": token}).encode()


def deployed_configuration(x_url: str, **overrides: object) -> dict[str, object]:
    """Make a configuration like a deployment's: both kinds of keys, and X at `x_url`; keywords override."""
    return {
        "dead_letter_topic": DEAD_LETTER_TOPIC,
        "pixels": {
            "o8z6j": {
                "credentials": f"{OAUTH_SECRET}/versions/latest",
                "event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"},
            },
            "p9q7k": {
                "credentials": f"{TOKEN_SECRET}/versions/latest",
                "event_ids": {"purchase": "tw-p9q7k-p9q31", "sign_up": "tw-p9q7k-p9q32"},
            },
        },
        "default_pixel": "o8z6j",
        "api_base_url": x_url,
        **overrides,
    }
