"""What the commands that ask X need in tests: a sandbox in X's place, a configuration that points at it, its keys."""

import json
from pathlib import Path
from typing import Any

import msgspec
import requests

from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS, OAuthKeys
from xcapi_core.sandbox.server import SandboxServer

__all__ = ["ACCOUNT", "FOUR", "SECRETS", "configuration", "keys_file", "pin_of"]

ACCOUNT = "18ce552mlaq"  # of the sandbox's pixel o8z6j
FOUR = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
SECRETS = (
    DEMO_OAUTH_KEYS.consumer_secret,
    DEMO_OAUTH_KEYS.access_token,
    DEMO_OAUTH_KEYS.access_token_secret,
    *DEMO_PIXEL_TOKENS["o8z6j"],
)


def keys_file(folder: Path, keys: OAuthKeys | str = DEMO_OAUTH_KEYS, name: str = "keys.json") -> Path:
    """Write OAuth keys, or a pixel token, as a secret's payload; return the file."""
    payload = {"pixel_token": keys} if isinstance(keys, str) else {part: getattr(keys, part) for part in FOUR}
    file = folder / name
    file.write_bytes(msgspec.json.encode(payload))
    return file


def configuration(sandbox: SandboxServer, folder: Path, **changes: Any) -> Path:
    """Write a configuration for the sandbox's pixel o8z6j with the demo's OAuth keys; return the file."""
    document = {
        "dead_letter_topic": "file:dead-letters.jsonl",
        "api_base_url": sandbox.url,
        "pixels": {
            "o8z6j": {
                "credentials": f"file:{keys_file(folder)}",
                "event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "o8z22"},
            }
        },
    }
    file = folder / "config.json"
    file.write_text(json.dumps(document | changes), encoding="utf-8")
    return file


def pin_of(address: str) -> str:
    """Open the address as a user would, and return the PIN of the page."""
    page = requests.get(address, timeout=60).text
    return page.partition('<code id="pin">')[2].partition("</code>")[0]
