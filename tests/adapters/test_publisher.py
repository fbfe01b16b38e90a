"""Publishing over real gRPC with Google's own types, and into a file: None means safe, anything else is a cause."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from xcapi_core.adapters import publisher as adapter
from xcapi_core.adapters.publisher import FilePublisher, PubsubConnection, PubsubPublisher, open_publisher
from xcapi_core.deliveries.outgoing import MAX_REQUEST_BYTES, MAX_REQUEST_MESSAGES, OutgoingMessage, request_batches
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.ports import free_port
from xcapi_core.sandbox.services.pubsub import DeliveryPath

PATH = DeliveryPath.named("test-project", "conversions", "http://127.0.0.1:9/")
# A hang guard, no expectation.
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _no_attempt_is_cut_short_and_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "PUBLISH_ATTEMPT_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
def pubsub() -> Iterator[EmbeddedPubsub]:
    with EmbeddedPubsub() as running:
        running.provision(PATH)
        yield running


@pytest.fixture
def publisher(pubsub: EmbeddedPubsub) -> PubsubPublisher:
    return PubsubPublisher(PATH.dead_letter_topic, PubsubConnection({"PUBSUB_EMULATOR_HOST": pubsub.address}))


def outgoing(data: bytes = b'{"event":"purchase"}', **attributes: str) -> OutgoingMessage:
    return OutgoingMessage(data=data, attributes=attributes or {"xcapi_reason": "rejected"})


async def publish(
    publisher: PubsubPublisher | FilePublisher, *messages: OutgoingMessage, timeout_s: float = PATIENCE_S
) -> str | None:
    return await asyncio.wait_for(publisher.publish(messages, timeout_s), PATIENCE_S)


def published(pubsub: EmbeddedPubsub) -> list[tuple[bytes, Mapping[str, str]]]:
    messages = pubsub.pull(PATH.dead_letter_subscription, timeout_s=0)
    return [(found.data, found.attributes) for found in messages]


# --- Pub/Sub ---


async def test_messages_arrive_with_their_data_and_attributes(
    pubsub: EmbeddedPubsub, publisher: PubsubPublisher
) -> None:
    first = outgoing(b"\x00\xff not even text", xcapi_reason="invalid_event", pixel_id="o8z6j")
    second = outgoing('{"name":"Größe"}'.encode(), xcapi_error_message="“zu groß” …")
    assert await publish(publisher, first, second) is None
    assert published(pubsub) == [(first.data, first.attributes), (second.data, second.attributes)]


async def test_message_without_data_is_published_for_its_attributes(
    pubsub: EmbeddedPubsub, publisher: PubsubPublisher
) -> None:
    assert await publish(publisher, outgoing(b"", xcapi_reason="invalid_message")) is None
    assert published(pubsub) == [(b"", {"xcapi_reason": "invalid_message"})]


async def test_batch_at_the_limits_is_taken(pubsub: EmbeddedPubsub, publisher: PubsubPublisher) -> None:
    many = [outgoing(b"x" * 9_900) for _ in range(MAX_REQUEST_MESSAGES)]
    large = [OutgoingMessage(data=b"x" * (MAX_REQUEST_BYTES // 2), attributes={"xcapi_reason": "rejected"})] * 3
    batches = list(request_batches([*many, *large]))
    assert len(batches) == 4
    for batch in batches:
        assert await publish(publisher, *batch) is None
    assert len(published(pubsub)) == 1003


async def test_message_of_the_largest_size_is_taken(pubsub: EmbeddedPubsub, publisher: PubsubPublisher) -> None:
    assert await publish(publisher, outgoing(b"x" * (MAX_REQUEST_BYTES - 2_100))) is None
    assert len(published(pubsub)) == 1


async def test_what_pubsub_refuses_is_a_cause_at_once_and_nothing_is_published(
    pubsub: EmbeddedPubsub, publisher: PubsubPublisher
) -> None:
    assert await publish(publisher, outgoing(), outgoing(googclient="1")) == "INVALID_ARGUMENT"
    assert published(pubsub) == []


async def test_missing_topic_is_a_cause_at_once(pubsub: EmbeddedPubsub) -> None:
    nowhere = PubsubPublisher(
        "projects/test-project/topics/nowhere", PubsubConnection({"PUBSUB_EMULATOR_HOST": pubsub.address})
    )
    assert await publish(nowhere, outgoing()) == "NOT_FOUND"


async def test_outage_shorter_than_the_delivery_s_time_is_outlasted(
    pubsub: EmbeddedPubsub, publisher: PubsubPublisher
) -> None:
    pubsub.set_down(down=True)
    publishing = asyncio.create_task(publish(publisher, outgoing()))
    await asyncio.sleep(0.3)
    assert not publishing.done()
    pubsub.set_down(down=False)
    assert await publishing is None
    assert len(published(pubsub)) == 1


async def test_outage_is_a_cause_within_the_time_given(pubsub: EmbeddedPubsub, publisher: PubsubPublisher) -> None:
    pubsub.set_down(down=True)
    assert await publish(publisher, outgoing(b"given up"), timeout_s=0.5) == "DEADLINE_EXCEEDED"
    pubsub.set_down(down=False)
    assert await publish(publisher, outgoing(b"later")) is None, "the same client is good afterwards"
    assert (b"later", {"xcapi_reason": "rejected"}) in published(pubsub)


async def test_nobody_listening_is_a_cause_within_the_time_given() -> None:
    publisher = PubsubPublisher(
        PATH.dead_letter_topic, PubsubConnection({"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{free_port()}"})
    )
    assert await publish(publisher, outgoing(), timeout_s=0.5) == "DEADLINE_EXCEEDED"


async def test_server_that_never_answers_is_a_cause_within_the_time_given() -> None:
    async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    publisher = PubsubPublisher(PATH.dead_letter_topic, PubsubConnection({"PUBSUB_EMULATOR_HOST": host}))
    assert await publish(publisher, outgoing(), timeout_s=0.5) == "DEADLINE_EXCEEDED"
    server.close()


async def test_without_time_nothing_is_published(pubsub: EmbeddedPubsub, publisher: PubsubPublisher) -> None:
    assert await publish(publisher, outgoing(), timeout_s=0.0) == "DEADLINE_EXCEEDED"
    assert published(pubsub) == []


async def test_messages_that_waited_for_a_thread_until_nobody_waited_for_them_are_not_published(
    pubsub: EmbeddedPubsub, publisher: PubsubPublisher
) -> None:
    pubsub.set_down(down=True)
    # Eight threads are busy until the outage ends; the ninth request's time is over before it has one.
    busy = [asyncio.create_task(publisher.publish([outgoing(b"busy")], PATIENCE_S)) for _ in range(8)]
    late = asyncio.create_task(publisher.publish([outgoing(b"late")], 0.2))
    await asyncio.sleep(0)  # the time of each begins
    await asyncio.sleep(0.3)
    pubsub.set_down(down=False)
    assert await late == "DEADLINE_EXCEEDED"
    assert set(await asyncio.gather(*busy)) == {None}
    assert {data for data, _ in published(pubsub)} == {b"busy"}


async def test_requests_at_the_same_time_do_not_mix(pubsub: EmbeddedPubsub, publisher: PubsubPublisher) -> None:
    requests = [[outgoing(f"{request}.{number}".encode()) for number in range(10)] for request in range(20)]
    assert set(await asyncio.gather(*(publish(publisher, *request) for request in requests))) == {None}
    arrived = [data.decode() for data, _ in published(pubsub)]
    assert len(arrived) == 200
    for request in range(20):
        assert [name for name in arrived if name.startswith(f"{request}.")] == [f"{request}.{n}" for n in range(10)]


@pytest.mark.usefixtures("dead_proxy")
async def test_proxy_of_the_environment_is_not_used_for_a_local_server(pubsub: EmbeddedPubsub) -> None:
    publisher = PubsubPublisher(PATH.dead_letter_topic, PubsubConnection({"PUBSUB_EMULATOR_HOST": pubsub.address}))
    assert await publish(publisher, outgoing()) is None


# --- a file ---


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_file_has_a_line_a_message_in_the_json_form_of_a_pubsub_message(tmp_path: Path) -> None:
    publisher = open_publisher(f"file:{tmp_path / 'messages.jsonl'}", PubsubConnection({}))
    assert await publish(publisher, outgoing(b"\x00\n\xff", xcapi_reason="rejected")) is None
    assert await publish(publisher, outgoing("é".encode(), xcapi_error_message="“a”\n")) is None
    assert lines_of(tmp_path / "messages.jsonl") == [
        {"data": base64.b64encode(b"\x00\n\xff").decode(), "attributes": {"xcapi_reason": "rejected"}},
        {"data": base64.b64encode("é".encode()).decode(), "attributes": {"xcapi_error_message": "“a”\n"}},
    ]


async def test_file_is_appended_to_and_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    for number in range(2):
        assert await publish(FilePublisher(path), outgoing(b"%d" % number)) is None
    assert [line["data"] for line in lines_of(path)] == ["MA==", "MQ=="]


async def test_appends_at_the_same_time_keep_lines_and_requests_whole(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    publisher = FilePublisher(path)
    requests = [[outgoing(f"{request}.{number}".encode() * 1000) for number in range(5)] for request in range(40)]
    assert set(await asyncio.gather(*(publish(publisher, *request) for request in requests))) == {None}
    read = [base64.b64decode(str(line["data"])) for line in lines_of(path)]
    assert sorted(read) == sorted(one.data for request in requests for one in request)
    assert [data.split(b".")[0] for data in read[::5]] == [data.split(b".")[0] for data in read[4::5]]


@pytest.mark.parametrize("name", ["missing/messages.jsonl", ".", "a\0b"])
async def test_file_that_cannot_be_written_is_a_cause(tmp_path: Path, name: str) -> None:
    assert await publish(FilePublisher(tmp_path / name), outgoing()) is not None


def test_setting_chooses_the_publisher() -> None:
    assert isinstance(open_publisher("file:messages.jsonl", PubsubConnection({})), FilePublisher)
    assert isinstance(open_publisher("projects/p/topics/t", PubsubConnection({})), PubsubPublisher)


async def test_client_is_there_before_the_first_message_and_is_shared_by_topics(pubsub: EmbeddedPubsub) -> None:
    connection = PubsubConnection({"PUBSUB_EMULATOR_HOST": pubsub.address})
    connection.prepare()
    connection.threads.shutdown(wait=True)
    assert connection.client() is connection.client()


def test_nobody_at_the_other_end_does_not_disturb_the_preparation() -> None:
    connection = PubsubConnection({"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{free_port()}"})
    connection.prepare()
    assert connection.client() is not None


_FIRST_PUBLISHES = """
import asyncio, sys, time
import google.api_core.exceptions, google.api_core.retry, google.auth.exceptions, grpc
from xcapi_core.adapters.publisher import PubsubConnection, PubsubPublisher

class BusyMachine:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("google.pubsub_v1"):
            time.sleep(0.02)

async def publish_at_once():
    connection = PubsubConnection({"PUBSUB_EMULATOR_HOST": sys.argv[1]})
    publisher = PubsubPublisher(sys.argv[2], connection)
    async def publish(number):
        await asyncio.sleep(number * 0.004)
        return connection.prepare() if number == 1 else await publisher.publish([], 100)
    print(await asyncio.gather(*map(publish, range(7))))

sys.meta_path.insert(0, BusyMachine())
asyncio.run(publish_at_once())
"""


async def test_first_publishes_come_at_once_and_none_meets_a_client_that_is_half_imported(
    pubsub: EmbeddedPubsub,
) -> None:
    # In a process of its own: here everything is imported already. Nothing to publish is an INVALID_ARGUMENT.
    command = [sys.executable, "-c", _FIRST_PUBLISHES, pubsub.address, PATH.topic]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.count("INVALID_ARGUMENT") == 6
