"""What X's errors are about, and whom their words name."""

import pytest

from xcapi_core.x_api.errors import XError, blame, is_about_conversions


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "INVALID_PARAMETER", "At least one user identifier must be provided"),
        (400, "INVALID_PARAMETER", "hashed_email (abc) is not a valid SHA-256 hash"),
        (400, "INVALID_PARAMETER", "event_id (o6dkt) is not a single event tag (SET)"),
        (400, "INVALID_PARAMETER", 'Expected Time in yyyy-MM-ddTHH:mm:ss.SSSZ, got "x" for conversion_time'),
        (400, "", "Event ID was not found"),
        (404, "NOT_FOUND", "event_id (abc) does not belong to provided account"),
        (400, "INVALID_PARAMETER", "something that no page of X's names"),
        (400, "INVALID_PARAMETER", 'Expected a number, got "json" for it'),
    ],
)
def test_errors_about_a_conversion_are_worth_a_search(status: int, code: str, message: str) -> None:
    assert is_about_conversions(status, [XError(code=code, message=message)])


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "", "Conversion count limit is 500"),
        (400, "INVALID_PARAMETER", "Request body could not be parsed"),
        (400, "MALFORMED_REQUEST", ""),
        (404, "ROUTE_NOT_FOUND", "The requested resource could not be found"),
        (404, "NOT_FOUND", "User 1 does not have access to account 18ce552mlaq"),
        (413, "", "Payload too large"),
        (415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type"),
        (405, "METHOD_NOT_ALLOWED", ""),
        (400, "INVALID_PARAMETER", "pixel_id (o8z6j) is invalid"),
        (400, "INVALID_PARAMETER", "account_id (18ce552mlaq) is not active"),
        (400, "MISSING_PARAMETER", '"conversions" is a required parameter'),
    ],
)
def test_errors_that_no_conversion_causes_are_not_searched_for(status: int, code: str, message: str) -> None:
    parameter = "conversions" if "conversions" in message else ""
    assert not is_about_conversions(status, [XError(code=code, message=message, parameter=parameter)])


def test_a_400_without_readable_errors_is_searched_and_such_a_404_is_not() -> None:
    assert is_about_conversions(400, [])
    assert not is_about_conversions(404, [])


def test_a_tag_refused_in_two_errors_at_once_is_about_conversions() -> None:
    errors = [
        XError(code="INVALID_PARAMETER", message="event_id (o6dkt) is not a single event tag (SET)"),
        XError(code="NOT_FOUND", message="event_id (o6dkt) does not belong to provided account"),
    ]
    assert is_about_conversions(400, errors)
    assert is_about_conversions(404, errors)


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        ("event_id (o6dkt) is not a single event tag (SET)", b'{"event_id":"o6dkt"}'),
        ("event_id (o6dkt) is not a single event tag (SET)", b'{"event_id":"tw-o8z6j-o6dkt"}'),
        ("Event_id (tw-o8z6j-o6dkt) is not a single event tag (SET)", b'{"event_id":"o6dkt"}'),
        ("hashed_email (abc) is not a valid SHA-256 hash", b'{"identifiers":[{"hashed_email":"abc"}]}'),
        ("description (a (b) c) is no good", b'{"description":"a (b) c"}'),
        ("content_id (7) is no good", b'{"contents":[{"content_id":"1"},{"content_id":"7"}]}'),
        ("number_items (0) is no good", b'{"number_items":0}'),
        ('Expected Time in Z, got "2026" for conversion_time', b'{"conversion_time":"2026"}'),
    ],
)
def test_whoever_holds_the_named_value_is_blamed(message: str, wire: bytes) -> None:
    error = XError(message=message)
    assert blame([error], [b'{"event_id":"fine","conversion_time":"2027"}', wire]) == {1: (error,)}


def test_the_same_text_in_another_field_is_not_blamed() -> None:
    assert blame([XError(message="hashed_email (abc) is not valid")], [b'{"description":"abc"}']) == {}


def test_words_that_name_no_value_blame_nobody() -> None:
    assert blame([XError(message="At least one user identifier must be provided")], [b"{}"]) == {}


def test_x_s_words_show_in_no_repr() -> None:
    error = XError.from_json({"code": "INVALID_PARAMETER", "message": "hashed_email (5806dc6b)", "parameter": None})
    assert "5806dc6b" not in repr(error)
    assert error.parameter == ""
    quoting = XError(code="hashed_email (5806dc6b)", parameter="5806dc6b")
    assert "5806dc6b" not in repr(quoting)


@pytest.mark.parametrize("opening", ["value (", 'got "', "value (a) ", 'got "a" for value '])
def test_words_of_a_megabyte_are_read_in_one_pass(opening: str) -> None:
    """In a quadratic one this would take a quarter of an hour, and the suite's limit ends it."""
    words = XError(message=opening * (1_000_000 // len(opening)))
    assert blame([words], [b'{"value":"1.00"}'] * 500) == {}
