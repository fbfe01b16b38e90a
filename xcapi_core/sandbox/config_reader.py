"""JSON → SandboxConfig: the file of `xcapi sandbox --config`, refused as a whole with every problem named. Pure."""

from dataclasses import replace
from typing import Final

from xcapi_core.problems import Problem
from xcapi_core.sandbox.checks import BOOLEAN, COUNT, OBJECT, SECONDS, STRING, Fields, check_fields, kind_of
from xcapi_core.sandbox.config import SandboxConfig, SandboxPixel
from xcapi_core.sandbox.key_reader import read_keys

__all__ = ["CONFIG_FIELDS", "read_config"]

CONFIG_FIELDS: Final[Fields] = {
    "pixels": OBJECT,
    "keys": OBJECT,
    "any_tag": BOOLEAN,
    "any_pixel": BOOLEAN,
    "name_offending_values": BOOLEAN,
    "public_url": STRING,
    "api_version": STRING,
    "events_per_window": COUNT,
    "window_s": SECONDS,
    "timestamp_tolerance_s": SECONDS,
    "max_body_bytes": COUNT,
    "random_seed": COUNT,
}
_PIXEL_FIELDS: Final[Fields] = {
    "account_id": STRING,
    "event_tags": (
        lambda v: isinstance(v, dict) and all(isinstance(name, str) for name in v.values()),
        'an object of tags and names, such as {"o8z21": "purchase"}',
    ),
}


def read_config(found: object) -> tuple[SandboxConfig, list[Problem]]:
    """Read the configuration file's document; what is absent keeps its default. Good only without problems.

    ```json
    {"pixels": {"o8z6j": {"account_id": "18ce552mlaq", "event_tags": {"o8z21": "purchase"}}},
     "keys": {"oauth": [{"consumer_key": "…", …}], "pixel_tokens": {"o8z6j": "…"}},
     "events_per_window": 60000, "window_s": 900}
    ```
    """
    config = SandboxConfig()
    if not isinstance(found, dict):
        return config, [Problem(path="config", found=kind_of(found), expected="an object")]
    problems = check_fields(found, CONFIG_FIELDS, "config")
    pixels = config.pixels
    if isinstance(found.get("pixels"), dict):
        pixels = tuple(_read_pixel(pixel_id, one, problems) for pixel_id, one in found["pixels"].items())
    keys = config.keys
    if isinstance(found.get("keys"), dict):
        keys, key_problems = read_keys(found["keys"], config.keys)
        problems += key_problems
    if problems:
        return config, problems
    rest = {name: value for name, value in found.items() if name not in {"pixels", "keys"}}
    return replace(config, pixels=pixels, keys=keys, **rest), []


def _read_pixel(pixel_id: str, found: object, problems: list[Problem]) -> SandboxPixel:
    path = f"config.pixels.{pixel_id}"
    account_id, event_tags = f"account-of-{pixel_id}", {}
    if isinstance(found, dict):
        wrong = check_fields(found, _PIXEL_FIELDS, path)
        problems += wrong
        if not wrong:
            account_id = found.get("account_id", account_id)
            event_tags = found.get("event_tags", {})
    else:
        problems.append(Problem(path=path, found=kind_of(found), expected="an object with account_id and event_tags"))
    return SandboxPixel(pixel_id=pixel_id, account_id=account_id, event_tags=event_tags)
