"""Amounts stay decimal from end to end; the case tables show what is refused."""

import re
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.events.money import read_amount, read_count, read_micros, wire_amount

_AMOUNTS = st.decimals(min_value=0, max_value=10**15 - 1, allow_nan=False, places=18)


@given(amount=_AMOUNTS)
def test_amount_goes_out_exactly_with_two_decimals_or_more_and_no_exponent(amount: Decimal) -> None:
    for given_as in (amount, f"{amount:f}"):
        read = read_amount(given_as)
        assert read is not None
        written = wire_amount(read)
        assert re.fullmatch(r"[0-9]+\.[0-9]{2,18}", written)
        assert not re.search(r"\.[0-9]{2,}0$", written)
        assert Decimal(written) == amount


@given(micros=st.integers(0, 10**21 - 1))
def test_micros_are_millionths(micros: int) -> None:
    amount = read_micros(micros)
    assert amount is not None
    assert amount * 10**6 == micros


@given(value=st.floats(min_value=0, max_value=1e14))
def test_float_keeps_the_digits_that_it_prints(value: float) -> None:
    amount = read_amount(value)
    assert amount is not None
    assert amount == Decimal(repr(value))


@given(count=st.integers(1, 2**31 - 1))
def test_count_is_the_same_in_every_notation(count: int) -> None:
    assert [read_count(notation) for notation in (count, Decimal(count), f" {count}.0 ", float(count))] == [count] * 4
