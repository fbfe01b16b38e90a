"""The attributes with which a dead letter is published again: its own, within Pub/Sub's limits."""

from collections.abc import Mapping
from typing import Final

from xcapi_core.cli.dlq.dead_letter import DeadLetter, as_text
from xcapi_core.cli.google.publishing import MAX_ATTRIBUTES, attribute_problem

__all__ = ["kept_attributes", "replayed_attributes"]

# Pub/Sub's own names, which nobody may publish, and those that say the same in a dead letter.
_RENAMED: Final = {"googclient_schemaencoding": "xcapi_schema_encoding"}
# What a derived dedup key and a missing time are made of; one of them is there in all but the oddest dead letters.
_ORIGINAL_PUBLISH_TIME: Final = ("xcapi_publish_time", "CloudPubSubDeadLetterSourceTopicPublishTime")
# What only people read, first; where there is no room left.
_LEAST_NEEDED: Final = ("xcapi_version", "xcapi_delivery_attempt", "xcapi_error_message", "xcapi_failed_at")


def kept_attributes(dead_letter: DeadLetter) -> dict[str, str]:
    """Return them, with the first publish time."""
    attributes = {_RENAMED.get(key, key): value for key, value in dead_letter.attributes.items()}
    attributes = {key: value for key, value in attributes.items() if not attribute_problem(key, value)}
    if not any(attributes.get(name) for name in _ORIGINAL_PUBLISH_TIME):
        attributes["xcapi_publish_time"] = as_text(dead_letter.publish_time)
    return _within_the_limit(attributes)


def replayed_attributes(dead_letter: DeadLetter) -> dict[str, str]:
    """Return them, with `xcapi_replays` counted up."""
    attributes = kept_attributes(dead_letter)
    replays = attributes.get("xcapi_replays", "")
    attributes["xcapi_replays"] = str(int(replays) + 1 if replays.isdecimal() and len(replays) < 10 else 1)  # noqa: PLR2004 - else it is no count
    return _within_the_limit(attributes)


def _within_the_limit(attributes: Mapping[str, str]) -> dict[str, str]:
    kept = dict(attributes)
    foreign = [key for key in reversed(kept) if not key.startswith(("xcapi_", "CloudPubSub", "format", "pixel_id"))]
    for key in (*_LEAST_NEEDED, *foreign):
        if len(kept) <= MAX_ATTRIBUTES:
            break
        kept.pop(key, None)
    return kept
