"""What Pub/Sub does, shown on Google's emulator and on the embedded one alike; then what only the embedded one has."""

import base64
import threading
from collections.abc import Callable
from datetime import datetime

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from tests.sandbox.services.push_endpoint import PushEndpoint
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.grpc_server import insecure_channel
from xcapi_core.sandbox.services.pubsub import DeadLetter, DeliveryPath, LocalPubsub

PathFactory = Callable[..., DeliveryPath]


def wait_for_dead_letters(pubsub: LocalPubsub, path: DeliveryPath, count: int) -> list[DeadLetter]:
    dead_letters: list[DeadLetter] = []
    for _ in range(100):
        dead_letters += pubsub.pull(path.dead_letter_subscription, timeout_s=1)
        if len(dead_letters) >= count:
            break
    return dead_letters


def client_of(pubsub: LocalPubsub) -> PublisherClient:
    return PublisherClient(transport=PublisherGrpcTransport(channel=insecure_channel(pubsub.address)))


def test_message_arrives_as_a_push_envelope(pubsub: LocalPubsub, new_path: PathFactory) -> None:
    with PushEndpoint() as endpoint:
        path = new_path(endpoint.url)
        pubsub.provision(path)
        message_id = pubsub.publish(path.topic, b'{"event": "purchase"}', {"pixel_id": "o8z6j"})
        endpoint.wait_for(1)
    envelope = endpoint.envelopes[0]
    message = envelope["message"]
    assert envelope["subscription"] == path.subscription
    assert base64.b64decode(message["data"]) == b'{"event": "purchase"}'
    assert message["attributes"] == {"pixel_id": "o8z6j"}
    assert message["messageId"] == message["message_id"] == message_id
    assert datetime.fromisoformat(message["publishTime"]).tzinfo is not None


def test_message_of_attributes_alone_has_no_data_or_empty_data(pubsub: LocalPubsub, new_path: PathFactory) -> None:
    with PushEndpoint() as endpoint:
        path = new_path(endpoint.url)
        pubsub.provision(path)
        pubsub.publish(path.topic, b"", {"format": "x"})
        endpoint.wait_for(1)
    assert not endpoint.envelopes[0]["message"].get("data")


@pytest.mark.parametrize("status", [429, 503])
def test_refused_push_comes_again_with_the_same_message_id(
    pubsub: LocalPubsub, new_path: PathFactory, status: int
) -> None:
    with PushEndpoint(lambda _envelope, number: status if number == 1 else 204) as endpoint:
        path = new_path(endpoint.url, min_backoff_s=0, max_backoff_s=0)
        pubsub.provision(path)
        message_id = pubsub.publish(path.topic, b"{}")
        endpoint.wait_for(2)
    assert {envelope["message"]["messageId"] for envelope in endpoint.envelopes} == {message_id}


def test_message_that_used_up_its_attempts_is_dead_lettered_with_its_source(
    pubsub: LocalPubsub, new_path: PathFactory
) -> None:
    with PushEndpoint(lambda _envelope, _number: 503) as endpoint:
        path = new_path(endpoint.url, min_backoff_s=0, max_backoff_s=0, max_delivery_attempts=5)
        pubsub.provision(path)
        pubsub.publish(path.topic, b"never taken", {"pixel_id": "o8z6j"})
        (dead_letter,) = wait_for_dead_letters(pubsub, path, 1)
    assert dead_letter.data == b"never taken"
    assert dead_letter.attributes["pixel_id"] == "o8z6j"
    assert dead_letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert dead_letter.attributes["CloudPubSubDeadLetterSourceSubscription"] == path.subscription.rpartition("/")[2]
    assert dead_letter.attributes["CloudPubSubDeadLetterSourceTopicPublishTime"]


def test_dead_letters_published_by_googles_client_can_be_pulled_once(
    pubsub: LocalPubsub, new_path: PathFactory
) -> None:
    path = new_path("http://127.0.0.1:9/")
    pubsub.provision(path)
    client_of(pubsub).publish(
        topic=path.dead_letter_topic,
        messages=[PubsubMessage(data=b"bad", attributes={"xcapi_reason": "rejected"})],
        timeout=60,
    )
    (dead_letter,) = wait_for_dead_letters(pubsub, path, 1)
    assert (dead_letter.data, dead_letter.attributes["xcapi_reason"]) == (b"bad", "rejected")
    assert pubsub.pull(path.dead_letter_subscription, timeout_s=0.2) == []


def test_unknown_topic_is_not_found(pubsub: LocalPubsub) -> None:
    with pytest.raises(exceptions.NotFound):
        client_of(pubsub).publish(
            topic="projects/test-project/topics/nowhere", messages=[PubsubMessage(data=b"x")], timeout=60
        )


def test_embedded_counts_delivery_attempts_and_doubles_the_back_off(
    embedded: EmbeddedPubsub, new_path: PathFactory
) -> None:
    with PushEndpoint(lambda _envelope, number: 503 if number <= 2 else 204) as endpoint:
        path = new_path(endpoint.url, min_backoff_s=1, max_backoff_s=60)
        embedded.provision(path)
        embedded.publish(path.topic, b"{}")
        endpoint.wait_for(3)
    assert [envelope["deliveryAttempt"] for envelope in endpoint.envelopes] == [1, 2, 3]
    first, second, third = endpoint.arrivals
    assert second - first >= 1  # waits are lower bounds: a slow machine only makes them longer
    assert third - second >= 2


def test_embedded_takes_an_answer_after_the_ack_deadline_for_none(
    embedded: EmbeddedPubsub, new_path: PathFactory
) -> None:
    release = threading.Event()

    def answer(_envelope: object, number: int) -> int:
        if number == 1:
            release.wait(60)
        return 204

    with PushEndpoint(answer) as endpoint:
        path = new_path(endpoint.url, ack_deadline_s=1, min_backoff_s=0, max_backoff_s=0)
        embedded.provision(path)
        embedded.publish(path.topic, b"{}")
        endpoint.wait_for(2)
        release.set()
    assert endpoint.envelopes[1]["deliveryAttempt"] == 2


def test_embedded_pushes_many_messages_at_a_time(embedded: EmbeddedPubsub, new_path: PathFactory) -> None:
    all_there = threading.Barrier(50)

    def answer(_envelope: object, _number: int) -> int:
        all_there.wait(60)  # answered only once fifty are open together
        return 204

    with PushEndpoint(answer) as endpoint:
        path = new_path(endpoint.url)
        embedded.provision(path)
        for number in range(50):
            embedded.publish(path.topic, b"%d" % number)
        endpoint.wait_for(50)
    assert endpoint.most_at_once == 50


def test_embedded_reports_no_unacknowledged_message_once_all_are_settled(
    embedded: EmbeddedPubsub, new_path: PathFactory
) -> None:
    with PushEndpoint() as endpoint:
        path = new_path(endpoint.url)
        embedded.provision(path)
        embedded.publish(path.topic, b"{}")
        endpoint.wait_for(1)
        while embedded.unacked:  # the suite's own timeout bounds this
            pass


@pytest.mark.parametrize(
    "message",
    [
        PubsubMessage(),
        PubsubMessage(data=b"x", attributes={f"key{number}": "" for number in range(101)}),
        PubsubMessage(data=b"x", attributes={"k" * 257: ""}),
        PubsubMessage(data=b"x", attributes={"key": "é" * 513}),
        PubsubMessage(data=b"x", attributes={"googclient": "1"}),
        PubsubMessage(data=b"x" * 10_000_001),
    ],
    ids=["empty", "101 attributes", "key of 257 bytes", "value of 1026 bytes", "reserved key", "over 10 MB"],
)
def test_embedded_refuses_what_pubsub_refuses(
    embedded: EmbeddedPubsub, new_path: PathFactory, message: PubsubMessage
) -> None:
    path = new_path("http://127.0.0.1:9/")
    embedded.provision(path)
    with pytest.raises(exceptions.InvalidArgument):
        client_of(embedded).publish(topic=path.dead_letter_topic, messages=[message], timeout=60)
    assert embedded.pull(path.dead_letter_subscription, timeout_s=0) == []


def test_embedded_takes_a_message_at_the_limits(embedded: EmbeddedPubsub, new_path: PathFactory) -> None:
    path = new_path("http://127.0.0.1:9/")
    embedded.provision(path)
    attributes = {f"{number:03d}".ljust(256, "k"): "v" * 1_024 for number in range(100)}
    message = PubsubMessage(data=b"x" * 9_800_000, attributes=attributes)
    client_of(embedded).publish(topic=path.dead_letter_topic, messages=[message], timeout=60)
    (dead_letter,) = wait_for_dead_letters(embedded, path, 1)
    assert len(dead_letter.attributes) == 100


def test_embedded_can_be_down_for_publishers(embedded: EmbeddedPubsub, new_path: PathFactory) -> None:
    path = new_path("http://127.0.0.1:9/")
    embedded.provision(path)
    embedded.set_down(down=True)
    with pytest.raises(exceptions.ServiceUnavailable):
        client_of(embedded).publish(
            topic=path.dead_letter_topic, messages=[PubsubMessage(data=b"x")], retry=None, timeout=60
        )
