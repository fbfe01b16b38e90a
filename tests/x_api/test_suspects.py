"""Who is sent in small batches."""

from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.x_api.suspects import CAPACITY, Suspects


def test_key_is_suspect_from_its_adding_until_x_has_judged_it() -> None:
    suspects = Suspects()
    assert 7 not in suspects
    suspects.add(7)
    assert 7 in suspects
    suspects.discard(7)
    assert 7 not in suspects


def test_discarding_what_was_never_suspect_is_nothing() -> None:
    suspects = Suspects()
    suspects.discard(7)
    assert 7 not in suspects


def test_oldest_fall_out_beyond_the_capacity() -> None:
    suspects = Suspects(capacity=3)
    for key in (1, 2, 3, 4):
        suspects.add(key)
    assert [key for key in (1, 2, 3, 4) if key in suspects] == [2, 3, 4]


def test_adding_anew_makes_a_key_the_newest_and_takes_no_second_place() -> None:
    suspects = Suspects(capacity=3)
    for key in (1, 2, 3, 1, 4):
        suspects.add(key)
    assert [key for key in (1, 2, 3, 4) if key in suspects] == [1, 3, 4]


def test_many_searches_fit() -> None:
    assert CAPACITY >= 20 * 500


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60))
def test_suspects_are_the_last_added_that_were_not_judged(steps: list[tuple[bool, int]]) -> None:
    suspects, expected = Suspects(capacity=4), list[int]()
    for is_added, key in steps:
        expected = [other for other in expected if other != key]
        if is_added:
            suspects.add(key)
            expected = [*expected, key][-4:]
        else:
            suspects.discard(key)
    assert [key for key in range(10) if key in suspects] == sorted(expected)
