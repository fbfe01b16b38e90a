"""Pub/Sub's clients: the official low-level ones, at the emulator where PUBSUB_EMULATOR_HOST says so."""

import os
import warnings

from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from xcapi_core.adapters.google_grpc import local_channel

__all__ = ["new_publisher", "new_subscriber"]


def new_publisher() -> PublisherClient:
    """Return a client of topics. Raises google.auth's errors where there are no credentials."""
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not host:
        return PublisherClient()
    return PublisherClient(transport=PublisherGrpcTransport(channel=local_channel(host)))


def new_subscriber() -> SubscriberClient:
    """Return a client of subscriptions. Raises google.auth's errors where there are no credentials."""
    # A pull that waits and is given up takes messages along that nobody then has; this flag is the way not to wait.
    warnings.filterwarnings("ignore", message=".*return_immediately.*", category=DeprecationWarning)
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not host:
        return SubscriberClient()
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=local_channel(host)))
