"""Dead letters over real gRPC with Google's own types, and into a file: None means safe, anything else is a cause."""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from xcapi_core.adapters.dead_letters import FileDeadLetters, PubsubDeadLetters, open_dead_letters
from xcapi_core.deliveries.dead_letters import MAX_REQUEST_BYTES, MAX_REQUEST_MESSAGES, DeadLetter, letter_batches
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.ports import free_port
from xcapi_core.sandbox.services.pubsub import DeliveryPath

PATH = DeliveryPath.named("test-project", "conversions", "http://127.0.0.1:9/")
# A hang guard, no expectation.
PATIENCE_S = 30.0


@pytest.fixture
def pubsub() -> Iterator[EmbeddedPubsub]:
    with EmbeddedPubsub() as running:
        running.provision(PATH)
        yield running


@pytest.fixture
def publisher(pubsub: EmbeddedPubsub) -> PubsubDeadLetters:
    return PubsubDeadLetters(PATH.dead_letter_topic, {"PUBSUB_EMULATOR_HOST": pubsub.address})


def letter(data: bytes = b'{"event":"purchase"}', **attributes: str) -> DeadLetter:
    return DeadLetter(data=data, attributes=attributes or {"xcapi_reason": "rejected"})


async def publish(
    publisher: PubsubDeadLetters | FileDeadLetters, *letters: DeadLetter, timeout_s: float = PATIENCE_S
) -> str | None:
    return await asyncio.wait_for(publisher.publish(letters, timeout_s), PATIENCE_S)


def published(pubsub: EmbeddedPubsub) -> list[tuple[bytes, Mapping[str, str]]]:
    letters = pubsub.pull(PATH.dead_letter_subscription, timeout_s=0)
    return [(found.data, found.attributes) for found in letters]


# --- Pub/Sub ---


async def test_letters_arrive_with_their_data_and_attributes(
    pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters
) -> None:
    first = letter(b"\x00\xff not even text", xcapi_reason="invalid_event", pixel_id="o8z6j")
    second = letter('{"name":"Größe"}'.encode(), xcapi_error_message="“zu groß” …")
    assert await publish(publisher, first, second) is None
    assert published(pubsub) == [(first.data, first.attributes), (second.data, second.attributes)]


async def test_letter_without_data_is_published_for_its_attributes(
    pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters
) -> None:
    assert await publish(publisher, letter(b"", xcapi_reason="invalid_message")) is None
    assert published(pubsub) == [(b"", {"xcapi_reason": "invalid_message"})]


async def test_batch_at_the_limits_is_taken(pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters) -> None:
    many = [letter(b"x" * 9_900) for _ in range(MAX_REQUEST_MESSAGES)]
    large = [DeadLetter(data=b"x" * (MAX_REQUEST_BYTES // 2), attributes={"xcapi_reason": "rejected"})] * 3
    batches = list(letter_batches([*many, *large]))
    assert len(batches) == 4
    for batch in batches:
        assert await publish(publisher, *batch) is None
    assert len(published(pubsub)) == 1003


async def test_letter_of_the_largest_size_is_taken(pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters) -> None:
    assert await publish(publisher, letter(b"x" * (MAX_REQUEST_BYTES - 2_100))) is None
    assert len(published(pubsub)) == 1


async def test_what_pubsub_refuses_is_a_cause_at_once_and_nothing_is_published(
    pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters
) -> None:
    assert await publish(publisher, letter(), letter(googclient="1")) == "INVALID_ARGUMENT"
    assert published(pubsub) == []


async def test_missing_topic_is_a_cause_at_once(pubsub: EmbeddedPubsub) -> None:
    nowhere = PubsubDeadLetters("projects/test-project/topics/nowhere", {"PUBSUB_EMULATOR_HOST": pubsub.address})
    assert await publish(nowhere, letter()) == "NOT_FOUND"


async def test_outage_shorter_than_the_delivery_s_time_is_outlasted(
    pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters
) -> None:
    pubsub.set_down(down=True)
    publishing = asyncio.create_task(publish(publisher, letter()))
    await asyncio.sleep(0.3)
    assert not publishing.done()
    pubsub.set_down(down=False)
    assert await publishing is None
    assert len(published(pubsub)) == 1


async def test_outage_is_a_cause_within_the_time_given(pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters) -> None:
    pubsub.set_down(down=True)
    assert await publish(publisher, letter(), timeout_s=0.5) == "DEADLINE_EXCEEDED"
    pubsub.set_down(down=False)
    assert published(pubsub) == []
    assert await publish(publisher, letter()) is None, "the same client is good afterwards"


async def test_nobody_listening_is_a_cause_within_the_time_given() -> None:
    publisher = PubsubDeadLetters(PATH.dead_letter_topic, {"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{free_port()}"})
    assert await publish(publisher, letter(), timeout_s=0.5) == "DEADLINE_EXCEEDED"


async def test_server_that_never_answers_is_a_cause_within_the_time_given() -> None:
    async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    publisher = PubsubDeadLetters(PATH.dead_letter_topic, {"PUBSUB_EMULATOR_HOST": host})
    assert await publish(publisher, letter(), timeout_s=0.5) == "DEADLINE_EXCEEDED"
    server.close()


async def test_without_time_nothing_is_published(pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters) -> None:
    assert await publish(publisher, letter(), timeout_s=0.0) == "DEADLINE_EXCEEDED"
    assert published(pubsub) == []


async def test_letters_that_waited_for_a_thread_until_nobody_waited_for_them_are_not_published(
    pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters
) -> None:
    pubsub.set_down(down=True)
    # Four threads are busy until the outage ends; the fifth request's time is over before it has one.
    busy = [asyncio.create_task(publish(publisher, letter(b"busy"), timeout_s=1.0)) for _ in range(4)]
    await asyncio.sleep(0)
    late = asyncio.create_task(publish(publisher, letter(b"late"), timeout_s=0.2))
    assert set(await asyncio.gather(*busy)) == {"DEADLINE_EXCEEDED"}
    pubsub.set_down(down=False)
    assert await late == "DEADLINE_EXCEEDED"
    assert published(pubsub) == []


async def test_requests_at_the_same_time_do_not_mix(pubsub: EmbeddedPubsub, publisher: PubsubDeadLetters) -> None:
    requests = [[letter(f"{request}.{number}".encode()) for number in range(10)] for request in range(20)]
    assert set(await asyncio.gather(*(publish(publisher, *request) for request in requests))) == {None}
    arrived = [data.decode() for data, _ in published(pubsub)]
    assert len(arrived) == 200
    for request in range(20):
        assert [name for name in arrived if name.startswith(f"{request}.")] == [f"{request}.{n}" for n in range(10)]


@pytest.mark.usefixtures("dead_proxy")
async def test_proxy_of_the_environment_is_not_used_for_a_local_server(pubsub: EmbeddedPubsub) -> None:
    publisher = PubsubDeadLetters(PATH.dead_letter_topic, {"PUBSUB_EMULATOR_HOST": pubsub.address})
    assert await publish(publisher, letter(), timeout_s=5.0) is None


# --- a file ---


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_file_has_a_line_a_letter_in_the_json_form_of_a_pubsub_message(tmp_path: Path) -> None:
    publisher = open_dead_letters(f"file:{tmp_path / 'letters.jsonl'}", {})
    assert await publish(publisher, letter(b"\x00\n\xff", xcapi_reason="rejected")) is None
    assert await publish(publisher, letter("é".encode(), xcapi_error_message="“a”\n")) is None
    assert lines_of(tmp_path / "letters.jsonl") == [
        {"data": base64.b64encode(b"\x00\n\xff").decode(), "attributes": {"xcapi_reason": "rejected"}},
        {"data": base64.b64encode("é".encode()).decode(), "attributes": {"xcapi_error_message": "“a”\n"}},
    ]


async def test_file_is_appended_to_and_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    for number in range(2):
        assert await publish(FileDeadLetters(path), letter(b"%d" % number)) is None
    assert [line["data"] for line in lines_of(path)] == ["MA==", "MQ=="]


async def test_appends_at_the_same_time_keep_lines_and_requests_whole(tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"
    publisher = FileDeadLetters(path)
    requests = [[letter(f"{request}.{number}".encode() * 1000) for number in range(5)] for request in range(40)]
    assert set(await asyncio.gather(*(publish(publisher, *request) for request in requests))) == {None}
    read = [base64.b64decode(str(line["data"])) for line in lines_of(path)]
    assert sorted(read) == sorted(one.data for request in requests for one in request)
    assert [data.split(b".")[0] for data in read[::5]] == [data.split(b".")[0] for data in read[4::5]]


@pytest.mark.parametrize("name", ["missing/letters.jsonl", ".", "a\0b"])
async def test_file_that_cannot_be_written_is_a_cause(tmp_path: Path, name: str) -> None:
    assert await publish(FileDeadLetters(tmp_path / name), letter()) is not None


def test_setting_chooses_the_publisher() -> None:
    assert isinstance(open_dead_letters("file:letters.jsonl", {}), FileDeadLetters)
    assert isinstance(open_dead_letters("projects/p/topics/t", {}), PubsubDeadLetters)
