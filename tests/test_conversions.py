"""One conversion, ready for X."""

import pytest

from xcapi_core.conversions import Conversion

CONVERSION = Conversion(
    pixel_id="o8z6j",
    event_tag="tw-o8z6j-o8z21",
    conversion_id="jane@example.com",
    wire=b'{"hashed_email":"5806dc6b"}',
)


@pytest.mark.parametrize(
    ("event_tag", "short"),
    [
        ("tw-o8z6j-o8z21", "o8z21"),
        ("o8z21", "o8z21"),
        ("tw-p2q7x-o8z21", "tw-p2q7x-o8z21"),  # another pixel's: not this one's in short
        ("tw-o8z6j-tw-o8z6j-1", "tw-o8z6j-1"),
    ],
)
def test_long_and_short_tag_are_one_conversion(event_tag: str, short: str) -> None:
    conversion = Conversion(pixel_id="o8z6j", event_tag=event_tag, conversion_id="A-1", wire=b"{}")
    assert conversion.identity == ("o8z6j", short, "A-1")


def test_conversion_cannot_be_changed_and_holds_nothing_else() -> None:
    with pytest.raises(AttributeError):
        CONVERSION.wire = b""  # type: ignore[misc]  # which is the point
    assert not hasattr(CONVERSION, "__dict__")
    assert (CONVERSION.dropped, CONVERSION.identifiers, CONVERSION.has_derived_id) == ((), (), False)


def test_conversion_s_parts_have_to_be_named() -> None:
    with pytest.raises(TypeError, match="positional"):
        Conversion("o8z6j", "o8z21", "A-1", b"{}")  # type: ignore[call-arg]  # which is the point


def test_repr_has_the_pixel_and_nothing_of_the_person() -> None:
    assert repr(CONVERSION) == "Conversion(pixel_id='o8z6j', dropped=())"
