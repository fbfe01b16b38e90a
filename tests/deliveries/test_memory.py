"""What is remembered of messages, for how long, and in how little memory."""

from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.deliveries.memory import REMEMBERED_S, DeliveryMemory, IndexSet, Progress
from xcapi_core.deliveries.outgoing import index_runs
from xcapi_core.origins import original_event_indices
from xcapi_core.pubsub import PubsubMessage

MESSAGE = 4_711


@given(st.sets(st.integers(0, 400_000), max_size=100), st.sets(st.integers(0, 400_000), max_size=100))
def test_index_set_agrees_with_a_set(numbers: set[int], others: set[int]) -> None:
    indices = IndexSet(numbers)
    assert list(indices) == sorted(numbers)
    assert bool(indices) == bool(numbers)
    assert {number for number in others if number in indices} == others & numbers


@given(st.sets(st.integers(0, 2_000), max_size=300))
def test_runs_name_the_indices_and_are_read_back(numbers: set[int]) -> None:
    indices = tuple(sorted(numbers))
    text = ",".join(index_runs(indices))
    message = PubsubMessage(
        message_id="1",
        publish_time="",
        data=b"",
        attributes={"xcapi_event_indices": text},
        subscription="",
        ordering_key="",
        delivery_attempt=None,
    )
    assert original_event_indices(message) == (indices or None)


def known(memory: DeliveryMemory, now: float) -> Progress:
    """Return what is known of the message."""
    progress = memory.of(MESSAGE, now)
    assert progress is not None
    return progress


def test_settled_events_are_known_for_an_hour() -> None:
    memory = DeliveryMemory()
    memory.note(MESSAGE, [0, 2], now=0.0, unconfirmed=[3])
    assert list(known(memory, REMEMBERED_S).settled) == [0, 2]
    assert list(known(memory, REMEMBERED_S).unconfirmed) == [3]
    assert memory.of(MESSAGE, REMEMBERED_S + 1) is None
    assert memory.of(MESSAGE + 1, 0.0) is None


def test_progress_adds_up() -> None:
    memory = DeliveryMemory()
    for index in range(10):
        memory.note(MESSAGE, [index], now=float(index))
    assert list(known(memory, 10.0).settled) == list(range(10))


def test_message_without_progress_or_without_an_id_takes_no_memory() -> None:
    memory = DeliveryMemory()
    memory.note(MESSAGE, [], now=0.0)
    memory.note(None, [0], now=0.0)
    assert memory.held_bytes == 0
    assert not memory.knows(MESSAGE)
    assert memory.of(None, 0.0) is None


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    memory = DeliveryMemory(max_bytes=100_000)
    for number in range(10_000):
        memory.note(number, [number % 100], now=0.0)
        assert memory.held_bytes <= 100_000
    assert memory.knows(9999)
    assert not memory.knows(0)


def test_old_messages_make_room_by_themselves() -> None:
    memory = DeliveryMemory()
    for number in range(100):
        memory.note(number, [350_000], now=0.0)
    memory.note(MESSAGE, [0], now=REMEMBERED_S + 1)
    assert memory.held_bytes < 1_000


def test_one_message_larger_than_the_bound_is_no_crash() -> None:
    memory = DeliveryMemory(max_bytes=1_000)
    memory.note(MESSAGE, [100_000], now=0.0)
    assert memory.held_bytes == 0


def test_dead_letter_is_known_by_first_message_index_and_bytes() -> None:
    memory = DeliveryMemory()
    memory.note_dead_letters("17", [(3, b"event")], now=0.0)
    assert memory.has_any_dead_letter("17", 1.0)
    assert not memory.has_any_dead_letter("18", 1.0)
    assert memory.has_dead_letter("17", 3, b"event", 1.0)
    assert not memory.has_dead_letter("17", 3, b"another", 1.0)
    assert not memory.has_dead_letter("17", 4, b"event", 1.0)
    assert not memory.has_dead_letter("17", 3, b"event", REMEMBERED_S + 1)


def test_deliveries_that_a_bisection_took_up_are_counted_until_one_settles_something() -> None:
    memory = DeliveryMemory()
    memory.note(MESSAGE, [], 0.0, unfinished=1)
    memory.note(MESSAGE, [], 1.0, unfinished=2)
    assert known(memory, 2.0).unfinished == 2
    assert memory.of(MESSAGE, REMEMBERED_S + 2) is None
    memory.note(MESSAGE, [0], 3.0)
    assert known(memory, 3.0).unfinished == 0


def test_what_was_noted_late_is_known_for_an_hour_from_then() -> None:
    memory = DeliveryMemory()
    memory.note(MESSAGE, [0], now=10_000.0)
    assert 0 in known(memory, 10_000.0 + REMEMBERED_S).settled
    assert memory.of(MESSAGE, 10_001.0 + REMEMBERED_S) is None
