"""A subscription that lives as long as the command, and takes nothing away from anybody."""

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

from google.api_core import exceptions
from google.pubsub_v1.services.subscriber import SubscriberClient

from xcapi_core.cli.google.errors import brief_retry

__all__ = ["remove_leftovers", "temporary_subscription"]

_RETENTION: Final = timedelta(minutes=10)
# Pub/Sub's shortest: what even the next start does not find is gone after a day.
_EXPIRES_AFTER: Final = timedelta(days=1)
_ACK_DEADLINE_S: Final = 60
_TIMEOUT_S: Final = 20.0


@contextmanager
def temporary_subscription(subscriber: SubscriberClient, topic: str) -> Iterator[str]:
    """Make a subscription of the topic, remove it at the end, and before that those that dead processes left.

    Raises Google's errors.
    """
    project = topic.split("/")[1]
    remove_leftovers(subscriber, project)
    name = f"projects/{project}/subscriptions/{_prefix()}{os.getpid()}-{secrets.token_hex(4)}"
    subscriber.create_subscription(
        request={
            "name": name,
            "topic": topic,
            "ack_deadline_seconds": _ACK_DEADLINE_S,
            "message_retention_duration": _RETENTION,
            "expiration_policy": {"ttl": _EXPIRES_AFTER},
        },
        retry=brief_retry(),
        timeout=_TIMEOUT_S,
    )
    try:
        yield name
    finally:
        with suppress(exceptions.GoogleAPIError):
            subscriber.delete_subscription(subscription=name, retry=brief_retry(), timeout=_TIMEOUT_S)


def remove_leftovers(subscriber: SubscriberClient, project: str) -> int:
    """Remove what dead processes of this machine left; return how many; without the right to list them, none."""
    mine = re.compile(rf"projects/[^/]+/subscriptions/{re.escape(_prefix())}(\d+)-[0-9a-f]+")
    removed = 0
    with suppress(exceptions.GoogleAPIError):
        for found in subscriber.list_subscriptions(
            project=f"projects/{project}", retry=brief_retry(), timeout=_TIMEOUT_S
        ):
            match = mine.fullmatch(found.name)
            if match and not _is_alive(int(match[1])):
                subscriber.delete_subscription(subscription=found.name, retry=brief_retry(), timeout=_TIMEOUT_S)
                removed += 1
    return removed


def _prefix() -> str:
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower())[:60].strip("-") or "host"
    return f"xcapi-listen-{host}-"


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
