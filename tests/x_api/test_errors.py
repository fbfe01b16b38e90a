"""What X's errors are about, and whom their words name beyond doubt."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.x_api.errors import (
    XError,
    accuse,
    is_about_access,
    is_about_request,
    quotes_a_value,
)

NO_ACCESS = (
    "User 1 does not have access to account 18ce552mlaq. Type 'sn 1’ to get the handle of the user. Use 'twurl "
    "accounts' and 'twurl set default <username> <key>' to change the user you're using."
)


def wire(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def named(message: str, *wires: bytes) -> Mapping[int, tuple[XError, ...]]:
    return accuse([XError(message=message)], wires).named


def shared(message: str, *wires: bytes) -> list[list[int]]:
    return [members for _, members in accuse([XError(message=message)], wires).shared]


# --- what no conversion causes ---


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "", "Conversion count limit is 500"),
        (404, "ROUTE_NOT_FOUND", "The requested resource could not be found"),
        (415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type"),
        (415, "", ""),
    ],
)
def test_what_no_conversion_causes_is_known_by_x_s_documented_words(status: int, code: str, message: str) -> None:
    assert is_about_request(status, [XError(code=code, message=message)])


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "INVALID_PARAMETER", "At least one user identifier must be provided"),
        (404, "NOT_FOUND", "event_id (abc) does not belong to provided account"),
        (404, "NOT_FOUND", "Event tag not found"),
        (404, "", ""),
        (400, "ROUTE_NOT_FOUND", ""),
        (410, "ROUTE_NOT_FOUND", ""),
        (404, "UNKNOWN", ""),
        (400, "INVALID_PARAMETER", "Request body could not be parsed"),
        (422, "MALFORMED_REQUEST", ""),
        (405, "METHOD_NOT_ALLOWED", ""),
        (409, "", "Conflict"),
        (400, "INVALID_PARAMETER", "pixel_id (o8z6j) is invalid"),
        (400, "MISSING_PARAMETER", '"conversions" is a required parameter'),
        # What a publisher wrote stands in brackets.
        (400, "INVALID_PARAMETER", "event_id (conversion count limit is 500) is not a single event tag (SET)"),
        (400, "INVALID_PARAMETER", "event_id (a) count limit is (b) is not a single event tag (SET)"),
    ],
)
def test_words_that_x_never_documented_are_looked_into(status: int, code: str, message: str) -> None:
    assert not is_about_request(status, [XError(code=code, message=message)])


def test_a_user_without_a_role_in_the_account_is_a_matter_of_the_keys() -> None:
    assert is_about_access(404, [XError(code="NOT_FOUND", message=NO_ACCESS)])
    assert not is_about_access(400, [XError(code="NOT_FOUND", message=NO_ACCESS)])
    assert not is_about_access(422, [XError(code="NOT_FOUND", message=NO_ACCESS)])


@pytest.mark.parametrize(
    "message",
    [
        "event_id (x does not have access to account y) does not belong to provided account",
        "event_id (User 1) does not have access to account (y) does not belong to provided account",
        "event_id (abc) does not belong to provided account",
    ],
)
def test_a_publisher_cannot_make_its_tag_look_like_refused_keys(message: str) -> None:
    assert not is_about_access(404, [XError(code="NOT_FOUND", message=message)])


# --- whom an error names ---


@pytest.mark.parametrize(
    ("message", "culprit"),
    [
        ("event_id (o6dkt) is not a single event tag (SET)", wire(event_id="o6dkt")),
        ("event_id (o6dkt) is not a single event tag (SET)", wire(event_id="tw-o8z6j-o6dkt")),
        ("Event_id (tw-o8z6j-o6dkt) is not a single event tag (SET)", wire(event_id="o6dkt")),
        ("event_id (o6dkt) does not belong to provided account", wire(event_id="o6dkt")),
        ("hashed_email (abc) is not a valid SHA-256 hash", wire(identifiers=[{"hashed_email": "abc"}])),
        ("hashed_email () is not a valid SHA-256 hash", wire(identifiers=[{"hashed_email": ""}])),
        ("description (a (b) c) is no good", wire(description="a (b) c")),
        ("description (a (b) is no good", wire(description="a (b")),
        ("content_id (7) is no good", wire(contents=[{"content_id": "1"}, {"content_id": "7"}])),
        ("number_items (0) is no good", wire(number_items=0)),
        ('Expected Time in yyyy-MM-ddTHH:mm:ss.SSSZ, got "2026" for conversion_time', wire(conversion_time="2026")),
        ('got "a" for description" for description', wire(description='a" for description')),
        ("value (5) is too small for price_currency (EUR)", wire(value="5", price_currency="EUR")),
        ("value (5)price_currency (EUR)", wire(value="5", price_currency="EUR")),
        ("description () is no good", wire(description="")),
        ("EVENT_ID (a\nb) IS NOT A SINGLE EVENT TAG (SET)", wire(event_id="a\nb")),
        (f"{'value (9) ' * 16}is no good", wire(value="9")),
        ("value (7) is no good".ljust(4096), wire(value="7")),
    ],
)
def test_who_alone_has_all_that_an_error_quotes_is_named(message: str, culprit: bytes) -> None:
    fine = wire(event_id="fine", conversion_time="2027", value="5", price_currency="USD")
    assert named(message, fine, culprit, fine) == {1: (XError(message=message),)}


def test_who_has_all_of_three_values_is_named_and_not_who_has_two_of_them() -> None:
    message = "value (5), number_items (3) and price_currency (EUR) do not go together"
    whole = wire(value="5", number_items=3, price_currency="EUR")
    assert list(named(message, wire(value="5", number_items=4, price_currency="EUR"), whole)) == [1]


@pytest.mark.parametrize(
    ("message", "others"),
    [
        ("hashed_email (abc) is not valid", wire(description="abc")),  # another field
        ("event_id (abc) requires a value", wire(event_id="abcd")),
        ("value (5) is too small for price_currency (EUR)", wire(value="5", price_currency="USD")),
        ("value (5) is too small for price_currency (EUR)", wire(value="6", price_currency="EUR")),
        ("conversion_id (a) repeats conversion_id (b)", wire(conversion_id="a")),
        ("At least one user identifier must be provided", wire(description="user")),
        ("event_id (abc", wire(event_id="abc")),
        ("event_id (abc) is not a single event tag (SET)", wire(event_id="abcd")),
        ("conversion_id (a) is no good", wire(conversion_id="tw-o8z6j-a")),
        ("twclid (a) is no good", wire(identifiers=[{"twclid": "tw-o8z6j-a"}])),
        (f"{'value (5) ' * 17}is no good", wire(value="5")),
        ("value (5) is no good".ljust(4097), wire(value="5")),
    ],
)
def test_who_has_only_part_of_it_is_not_named(message: str, others: bytes) -> None:
    assert named(message, others, wire()) == {}


def test_a_value_that_two_share_names_nobody_where_x_never_documented_the_error() -> None:
    message = "event_id (o8z21) requires a value"
    assert named(message, wire(event_id="o8z21"), wire(event_id="tw-o8z6j-o8z21")) == {}
    assert shared(message, wire(event_id="o8z21"), wire(event_id="o8z21")) == []


EVIL = "zzz) price_currency (USD"


def test_evil_tag_names_itself_and_not_those_whose_value_it_quotes() -> None:
    good = wire(event_id="fine", price_currency="USD")
    evil = wire(event_id=EVIL, price_currency="USD")
    assert list(named(f"event_id ({EVIL}) is not a single event tag (SET)", *[good] * 9, evil)) == [9]
    assert list(named(f"event_id ({EVIL}) is not good", *[good] * 9, evil)) == [9]
    assert named(f"event_id ({EVIL}) is not good", *[good] * 9) == {}


def test_where_two_readings_of_an_error_name_two_nobody_is_named() -> None:
    evil, other = wire(event_id=EVIL), wire(event_id="zzz", price_currency="USD")
    assert named(f"event_id ({EVIL}) is not good", evil, other) == {}


@pytest.mark.parametrize(
    "tag",
    [
        "a) is not a single event tag (SET) and event_id (b",
        "a) does not belong to provided account",
        "x (SET) (SET",
        ") (",
        'got "a" for conversion_time',
    ],
)
def test_whatever_a_tag_looks_like_a_documented_error_about_it_names_it(tag: str) -> None:
    message = f"event_id ({tag}) is not a single event tag (SET)"
    innocent = [wire(event_id=name, conversion_time="a") for name in ("a", "b", "x")]
    assert list(named(message, *innocent, wire(event_id=tag))) == [3]


def test_who_shares_the_value_of_a_documented_error_shares_the_accusation() -> None:
    message = "event_id (wrong) is not a single event tag (SET)"
    wires = [wire(event_id="right"), wire(event_id="wrong"), wire(event_id="tw-o8z6j-wrong")]
    assert shared(message, *wires) == [[1, 2]]
    assert named(message, *wires) == {}
    assert shared(message.upper(), *wires) == [[1, 2]]
    assert shared(message.replace("wrong", "a\nb"), wire(event_id="a\nb"), wire(event_id="a\nb")) == [[0, 1]]


def test_who_shares_the_value_of_two_documented_errors_is_accused_once() -> None:
    errors = [
        XError(code="NOT_FOUND", message="event_id (wrong) does not belong to provided account"),
        XError(code="INVALID_PARAMETER", message="event_id (wrong) is not a single event tag (SET)"),
    ]
    accusation = accuse(errors, [wire(event_id="wrong"), wire(event_id="right"), wire(event_id="wrong")])
    assert [members for _, members in accusation.shared] == [[0, 2]]


def test_whose_members_are_all_named_is_no_shared_accusation() -> None:
    tag = XError(message="event_id (wrong) is not a single event tag (SET)")
    emails = [XError(message=f"hashed_email ({text}) is not a valid SHA-256 hash") for text in "ab"]
    wires = [wire(event_id="wrong", identifiers=[{"hashed_email": text}]) for text in "ab"]
    assert accuse([tag, *emails], wires).shared == []


def test_values_in_another_spelling_are_apart_since_x_may_take_one_of_them() -> None:
    message = "event_id (wrong) is not a single event tag (SET)"
    assert shared(message, wire(event_id="WRONG"), wire(event_id="wrong"), wire(event_id="WRONG")) == [[0, 2], [1]]


def test_who_is_named_by_one_error_is_not_accused_by_another() -> None:
    tag = XError(message="event_id (wrong) is not a single event tag (SET)")
    email = XError(message="hashed_email (abc) is not a valid SHA-256 hash")
    wires = [wire(event_id="wrong", identifiers=[{"hashed_email": "abc"}]), wire(event_id="wrong")]
    accusation = accuse([tag, email], wires)
    assert accusation.named == {0: (email,)}
    assert [members for _, members in accusation.shared] == [[1]]


def test_two_errors_about_one_conversion_are_kept_together() -> None:
    errors = [
        XError(code="NOT_FOUND", message="event_id (abc) does not belong to provided account"),
        XError(code="INVALID_PARAMETER", message="event_id (abc) is not a single event tag (SET)"),
    ]
    assert accuse([*errors, *errors], [wire(event_id="abc"), wire()]).named == {0: tuple(errors)}


@given(
    values=st.lists(st.text('ab() "', max_size=6), min_size=1, max_size=6),
    culprit=st.integers(0, 5),
    words=st.sampled_from(["is not a single event tag (SET)", "is unknown", "or price_currency (USD) is wrong"]),
)
def test_nobody_is_named_in_the_place_of_the_one_that_x_quotes(values: list[str], culprit: int, words: str) -> None:
    culprit %= len(values)
    wires = [wire(event_id=value, price_currency="USD") for value in values]
    assert set(named(f"event_id ({values[culprit]}) {words}", *wires)) <= {
        index for index, value in enumerate(values) if value == values[culprit]
    }


# --- what else ---


@pytest.mark.parametrize(
    ("message", "quotes"),
    [
        ("conversion_id (order-1) is no good", True),
        ('something about "7"', True),
        ("something about (7)", True),
        ("something about abcd", True),
        ("something about abc", False),
        ("order-1", True),
        ("number 7 of 20", False),
        ("At least one user identifier must be provided", False),
        ("", False),
    ],
)
def test_words_that_quote_a_value_are_told_from_those_that_fit_any_conversion(message: str, *, quotes: bool) -> None:
    sent = wire(conversion_id="order-1", number_items=7, description="abcd", search_string="abc")
    assert quotes_a_value([XError(message="generic"), XError(message=message)], sent) is quotes


@pytest.mark.parametrize(
    ("brackets", "quotes", "read"),
    [(100, 0, True), (142, 0, False), (0, 100, True), (0, 150, False), (105, 110, False)],
)
def test_work_on_words_full_of_brackets_and_quotation_marks_is_limited(
    brackets: int, quotes: int, *, read: bool
) -> None:
    hostile = XError(message="value (" + "(" * brackets + ")" * brackets + '"' * quotes)
    plain = XError(message="value (5) is no good")
    assert accuse([hostile, plain], [wire(value="5"), wire(value="6")]).named == ({0: (plain,)} if read else {})


def test_of_x_s_words_the_first_four_thousand_characters_are_kept() -> None:
    assert XError.from_json({"message": "a" * 5_000}).message == "a" * 4_096


def test_x_s_words_show_in_no_repr() -> None:
    error = XError.from_json({"code": "INVALID_PARAMETER", "message": "hashed_email (5806dc6b)", "parameter": None})
    assert "5806dc6b" not in repr(error)
    assert error.parameter == ""
    quoting = XError(code="hashed_email (5806dc6b)", parameter="5806dc6b")
    assert "5806dc6b" not in repr(quoting)
    assert "5806dc6b" not in repr(accuse([error], [wire(identifiers=[{"hashed_email": "5806dc6b"}])]))


@pytest.mark.parametrize("opening", ["value (", 'got "', "value (a) ", 'got "a" for value ', "event_id (" + ") " * 60])
def test_words_of_a_megabyte_are_read_in_one_pass(opening: str) -> None:
    """In a quadratic one this would take a quarter of an hour, and the suite's limit ends it."""
    words = [XError(message=opening * (1_000_000 // len(opening))), XError(message=opening * (4_000 // len(opening)))]
    assert accuse(words, [wire(value="1.00")] * 500).named == {}
