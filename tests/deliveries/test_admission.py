"""What may be held in memory at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.deliveries.admission import MAX_BODY_BYTES, MAX_HELD_BYTES, Admission


def test_deliveries_are_admitted_up_to_the_limit_and_not_beyond() -> None:
    admission = Admission(100)
    assert admission.admit(60)
    assert admission.admit(40)
    assert not admission.admit(1)


def test_refused_delivery_takes_no_room() -> None:
    admission = Admission(100)
    assert admission.admit(60)
    assert not admission.admit(60)
    assert admission.admit(40)


def test_released_room_is_free_again() -> None:
    admission = Admission(100)
    assert admission.admit(100)
    admission.release(100)
    assert admission.admit(100)


def test_one_delivery_alone_is_admitted_however_large_so_that_none_is_refused_for_ever() -> None:
    admission = Admission(100)
    assert admission.admit(1000)
    assert not admission.admit(1)
    admission.release(1000)
    assert admission.admit(1)


def test_largest_delivery_of_pubsub_is_below_the_limit_of_a_body() -> None:
    base64_of_10_mb = -(-10_000_000 // 3) * 4
    attributes = 100 * (256 + 1024)
    # A byte of an attribute is six characters of JSON at most (as backslash, u and four digits); base64 is plain.
    assert base64_of_10_mb + 6 * attributes < MAX_BODY_BYTES


def test_several_of_the_largest_deliveries_fit_together() -> None:
    assert MAX_HELD_BYTES >= 3 * MAX_BODY_BYTES


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 100))
def test_what_is_held_never_exceeds_the_limit_unless_by_one_alone(sizes: list[int], limit: int) -> None:
    admission = Admission(limit)
    held: list[int] = []
    for size in sizes:
        if admission.admit(size):
            held.append(size)
        elif held:
            assert sum(held) + size > limit
            admission.release(held.pop(0))
        large = [one for one in held if one]
        assert sum(large) <= limit or len(large) == 1


@pytest.mark.parametrize("size", [0, 1, MAX_BODY_BYTES])
def test_everything_released_leaves_nothing_held(size: int) -> None:
    admission = Admission()
    for _ in range(3):
        assert admission.admit(size)
    for _ in range(3):
        admission.release(size)
    # Room for the limit to the byte, beside a first one.
    assert admission.admit(MAX_HELD_BYTES - 1)
    assert admission.admit(1)
    assert not admission.admit(1)
