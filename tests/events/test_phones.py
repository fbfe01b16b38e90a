"""Phone numbers: what the fast path says is what the library says, for every region and in every notation."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcapi_core.events.drops import Drop
from xcapi_core.events.phones import e164_of
from xcapi_core.settings.phone_regions import PHONE_REGIONS

_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def _by_the_library(text: str, region: str | None) -> str | None:
    """Return what the library alone makes of a number."""
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _read(text: str, region: str | None) -> str | None:
    number = e164_of(text, region)
    return None if isinstance(number, Drop) else number


def test_example_numbers_of_every_region_and_type_are_read_as_the_library_reads_them() -> None:
    tried = 0
    for region in sorted(PHONE_REGIONS):
        for kind in phonenumbers.PhoneNumberType.values():
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            for form in (phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
                text = phonenumbers.format_number(example, form)
                for default in (None, region, "DE"):
                    assert _read(text, default) == _by_the_library(text, default)
                    tried += 1
    assert tried > 5_000


@given(
    code=st.sampled_from(_CODES) | st.integers(1, 999),
    national=st.text("0123456789", min_size=1, max_size=16),
    region=st.none() | st.sampled_from(sorted(PHONE_REGIONS)),
    gaps=st.lists(st.tuples(st.integers(0, 18), st.sampled_from([" ", "-", "(", ")", "."])), max_size=4),
)
def test_any_digits_after_a_plus_sign_are_read_as_the_library_reads_them(
    code: int, national: str, region: str | None, gaps: list[tuple[int, str]]
) -> None:
    digits = f"{code}{national}"
    for place, gap in gaps:
        digits = digits[:place] + gap + digits[place:]
    text = f"+{digits}".strip()
    assert _read(text, region) == _by_the_library(text, region)


@pytest.mark.parametrize("code", _CODES)
@settings(max_examples=15)
@given(national=st.text("0123456789", min_size=3, max_size=15))
def test_numbers_of_every_calling_code_are_read_as_the_library_reads_them(code: int, national: str) -> None:
    assert _read(f"+{code}{national}", None) == _by_the_library(f"+{code}{national}", None)


@pytest.mark.parametrize(
    "text", ["+", "+0", "+00", "+ ", "+(", "+1", "+999", "+²³", "+٣٣١٢٣٤٥٦٧٨٩", "00", "++14155552671"]
)
def test_odd_beginnings_are_left_to_the_library(text: str) -> None:
    assert _read(text, None) == _by_the_library(f"+{text[2:]}" if text.startswith("00") else text, None)
