"""Your configuration with everything that leaves this machine replaced: X, the keys, all topics."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, KeyRing, SandboxConfig, SandboxPixel
from xcapi_core.sandbox.services.pubsub import DeliveryPath
from xcapi_core.settings import Settings

__all__ = ["KEYS", "KEYS_VARIABLE", "read_document", "replaced", "sandbox_for"]

KEYS_VARIABLE: Final = "XCAPI_DEV_KEYS"
_FOUR_KEYS: Final = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
# The sandbox's own keys, which are public and open nothing.
KEYS: Final = json.dumps({name: asdict(DEMO_OAUTH_KEYS)[name] for name in _FOUR_KEYS})


def read_document(config_file: Path | None) -> dict[str, object]:
    """Return the configuration as it is written; it was checked before."""
    if config_file is None and not os.environ.get("XCAPI_CONFIG", "").strip():
        config_file = Path(os.environ["XCAPI_CONFIG_FILE"])
    text = os.environ["XCAPI_CONFIG"] if config_file is None else config_file.read_text(encoding="utf-8")
    document: dict[str, object] = json.loads(text)
    return document


def sandbox_for(settings: Settings, *, any_tag: bool) -> SandboxConfig:
    """Return a sandbox that knows the configured pixels and event tags."""
    pixels = tuple(
        SandboxPixel(
            pixel_id=pixel.pixel_id,
            account_id=f"account-of-{pixel.pixel_id}",
            event_tags={tag.removeprefix(f"tw-{pixel.pixel_id}-"): name for name, tag in pixel.event_ids.items()},
        )
        for pixel in settings.pixels.values()
    )
    return SandboxConfig(
        pixels=pixels, keys=KeyRing(oauth=(DEMO_OAUTH_KEYS,)), api_version=settings.api_version, any_tag=any_tag
    )


def replaced(
    document: Mapping[str, object], settings: Settings, path: DeliveryPath, remainder: DeliveryPath, api_base_url: str
) -> dict[str, object]:
    """Return the document with local values; whether there is a remainder topic stays as it is."""
    written = document.get("pixels")
    pixels = written if isinstance(written, dict) else {}
    local = {
        **document,
        "api_base_url": api_base_url,
        "dead_letter_topic": path.dead_letter_topic,
        "pixels": {name: {**pixel, "credentials": f"env:{KEYS_VARIABLE}"} for name, pixel in pixels.items()},
    }
    if settings.remainder_topic:
        local["remainder_topic"] = remainder.topic
    return local
