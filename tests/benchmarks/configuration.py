"""The configuration that is measured: a deployment's, with a rate budget that is no limit."""

import json

from xcapi_core.sandbox.services.checkout import repository_root

__all__ = ["DEAD_LETTERS", "EVENT_TAGS", "KEYS", "PIXEL", "configuration", "file_keys"]

PIXEL = "o8z6j"
EVENT_TAGS = {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"}
DEAD_LETTERS = "file:/dev/null"
KEYS = b'{"consumer_key":"ck","consumer_secret":"cs","access_token":"at","access_token_secret":"ats"}'


def file_keys() -> str:
    """Return a reference to a file with keys that open nothing."""
    path = repository_root() / "build" / "bench-keys.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(KEYS)
    return f"file:{path}"


def configuration(
    *,
    x_url: str = "http://127.0.0.1:9",
    credentials: str | None = None,
    pixels: int = 1,
    dead_letters: str = DEAD_LETTERS,
    **overrides: object,
) -> str:
    """Return XCAPI_CONFIG; the pixels beyond the first are named p1, p2 and so on."""
    keys = credentials or file_keys()
    named = {PIXEL: {"credentials": keys, "event_ids": EVENT_TAGS}}
    for number in range(1, pixels):
        named[f"p{number}"] = {"credentials": keys, "event_ids": {"purchase": f"tw-p{number}-o8z21"}}
    return json.dumps(
        {
            "dead_letter_topic": dead_letters,
            "pixels": named,
            "default_pixel": PIXEL,
            "default_phone_region": "GB",
            "api_base_url": x_url,
            "rate": {"events": 1_000_000_000, "window_s": 900},
            **overrides,
        }
    )
