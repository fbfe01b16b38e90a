"""What is remembered of deliveries, for how long, and in how little memory."""

from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.ledger import RETENTION_S, Ledger


def test_delivered_conversion_is_known_for_48_hours() -> None:
    ledger = Ledger()
    key = ledger.digest("o8z6j", "tw-o8z6j-o8z21", "order-1")
    ledger.add(key, now=1000.0)
    assert RETENTION_S == 48 * 60 * 60
    assert ledger.has(key, now=1000.0 + RETENTION_S)
    assert not ledger.has(key, now=1000.0 + RETENTION_S + 1)


def test_another_tag_pixel_or_id_is_another_conversion() -> None:
    ledger = Ledger()
    ledger.add(ledger.digest("p", "tag", "1"), now=0.0)
    assert not ledger.has(ledger.digest("p", "tag", "2"), now=0.0)
    assert not ledger.has(ledger.digest("p", "tag1", ""), now=0.0)
    assert not ledger.has(ledger.digest("ptag", "", "1"), now=0.0)


def test_conversion_delivered_again_after_its_retention_is_known_again() -> None:
    ledger = Ledger()
    key = ledger.digest("a")
    ledger.add(key, now=0.0)
    ledger.add(key, now=RETENTION_S + 5.0)
    assert ledger.has(key, now=RETENTION_S + 10.0)


@given(keys=st.lists(st.integers(1, 2**64 - 1), unique=True, max_size=300))
def test_ledger_agrees_with_a_set_while_everything_fits(keys: list[int]) -> None:
    ledger = Ledger(capacity=2000)
    half = len(keys) // 2
    for key in keys[:half]:
        ledger.add(key, now=0.0)
    assert [ledger.has(key, now=1.0) for key in keys] == [True] * half + [False] * (len(keys) - half)


def test_beyond_its_capacity_the_ledger_keeps_the_newest() -> None:
    ledger = Ledger(capacity=400)
    keys = [ledger.digest(number) for number in range(5000)]
    for key in keys:
        ledger.add(key, now=0.0)
    known = [ledger.has(key, now=0.0) for key in keys]
    assert all(known[-300:])
    assert sum(known) <= 400


def test_ledger_keeps_a_quarter_of_a_million_conversions_and_half_of_them_for_certain() -> None:
    ledger = Ledger()
    for key in range(4 * 131_072):
        ledger.add(key, now=0.0)
    assert [ledger.has(key, now=0.0) for key in range(4 * 131_072)] == [False] * 262_144 + [True] * 262_144
    ledger.add(0, now=0.0)
    assert sum(ledger.has(key, now=0.0) for key in range(4 * 131_072)) == 131_072 + 1


def test_smallest_ledger_keeps_the_newest_two() -> None:
    ledger = Ledger(capacity=1)
    for key in (1, 2, 3):
        ledger.add(key, now=0.0)
    assert [ledger.has(key, now=0.0) for key in (1, 2, 3)] == [False, True, True]


def test_digests_have_64_bits() -> None:
    lengths = [Ledger().digest(number).bit_length() for number in range(100)]
    assert max(lengths) <= 64
    assert sum(length > 56 for length in lengths) > 90


def test_digests_of_two_processes_differ_so_that_nobody_can_aim_for_a_collision() -> None:
    assert Ledger().digest("o8z6j", "tag", "order-1") != Ledger().digest("o8z6j", "tag", "order-1")
