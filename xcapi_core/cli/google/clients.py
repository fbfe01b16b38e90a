"""Pub/Sub's clients: the official low-level ones, at the emulator where PUBSUB_EMULATOR_HOST says so."""

import os
import warnings

import grpc
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

__all__ = ["local_channel", "new_publisher", "new_subscriber"]

# What the clients' own channels have: an answer to a pull may have more than gRPC's 4 MB. And a proxy of the
# environment has no business between this process and a local server.
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]


def local_channel(host: str) -> grpc.Channel:
    """Open a plain-text channel to the emulator at `host:port`."""
    return grpc.insecure_channel(host, options=_OPTIONS)


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
