"""A message's data → its events: exactly the bytes that came, and one rubbish element harms no other."""

import json
from decimal import Decimal
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fakes import delivery
from xcapi_core.events.decoding import decode_event
from xcapi_core.events.elements import MAX_EVENTS
from xcapi_core.events.splitting import RawMessage, Unreadable, format_to_state, split_message
from xcapi_core.problems import Problem
from xcapi_core.pubsub import PubsubMessage


def message(data: bytes, **attributes: str) -> PubsubMessage:
    return delivery(data, attributes)


def split(data: bytes, **attributes: str) -> RawMessage:
    result = split_message(message(data, **attributes))
    assert isinstance(result, RawMessage), result
    return result


def parts(data: bytes, **attributes: str) -> tuple[bytes, ...]:
    return tuple(event for _, event in split(data, **attributes).events)


def refused(data: bytes, **attributes: str) -> Problem:
    result = split_message(message(data, **attributes))
    assert isinstance(result, Unreadable), result
    return result.problem


# Elements that are no JSON, or none that can be read, each as it might stand in an array.
RUBBISH = {
    "NaN": b'{"value": NaN}',
    "Infinity": b"[-Infinity]",
    "JavaScript's undefined": b"undefined",
    "single quotes": b"{'event': 'purchase'}",
    "a key without quotes": b"{event: 1}",
    "a value left out": b'{"event": }',
    "a colon left out": b'{"event" "purchase"}',
    "a leading zero": b'{"value": 012}',
    "an escape that is none": b'{"event": "\\x41"}',
    "a control character": b'{"event": "\x00\x01"}',
    "no UTF-8": b'{"event": "\xff\xfe"}',
    "no UTF-8 outside of a string": b"\xff\xfe",
    "a nesting bomb": b"[" * 50_000 + b"]" * 50_000,
    "a nesting bomb of objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a comment": b"/* none */ 1",
    "a comma too many": b'{"event": "purchase",}',
    "brackets in a string of rubbish": b'{"event": NaN, "a": "]}[{,\\"]"}',
    "backslashes before a quote": b'{"event": NaN, "a": "\\\\\\\\"}',
}
GOOD = [b'{"event":"purchase"}', b'{ "a" : "],[\\"" }', b'"text \xc3\xa9"', b"[1, [2]]", b"0.10", b"null"]


def test_a_lone_event_is_the_data_byte_for_byte() -> None:
    data = b' {"event": "purchase", "value": 1.50}\r\n'
    assert parts(data) == (data,)


def test_an_array_is_its_elements_as_they_came() -> None:
    assert parts(b" [ " + b" ,\n".join(GOOD) + b"]\n") == tuple(GOOD)


@pytest.mark.parametrize("name", ["events", "conversions"])
def test_an_object_with_an_array_of_events_is_its_elements(name: str) -> None:
    data = b'{"sent_by": {"events": [1]}, "' + name.encode() + b'": [' + b",".join(GOOD) + b"]}"
    assert parts(data) == tuple(GOOD)


@pytest.mark.parametrize("data", [b'{"events": null}', b'{"events": {}}', b'{"conversions": "["}', b"{}"])
def test_an_object_without_an_array_of_events_is_one_event(data: bytes) -> None:
    assert parts(data) == (data,)


@pytest.mark.parametrize("data", [b"[]", b" [ ] ", b'{"events":[]}'])
def test_nothing_in_an_array_is_no_event(data: bytes) -> None:
    assert parts(data) == ()


def test_of_two_arrays_neither_is_dropped_in_silence() -> None:
    assert refused(b'{"events": [1], "conversions": [2]}').found == "both events and conversions"


@pytest.mark.parametrize(
    "data",
    [
        b'{"events": [1], "events": [2]}',
        b'{"events": [1], "events": [NaN]}',
        b'{"events": [1], "events": [], "conversions": [2]}',
    ],
)
def test_of_an_array_that_comes_twice_neither_is_dropped_in_silence(data: bytes) -> None:
    assert refused(data).found == "events twice"


def test_format_that_an_event_is_taken_for_by_itself_is_told_through_unions() -> None:
    call = b'{"type": {"string": "track"}, "event": {"string": "Order Completed"}}'
    unions = {"googclient_schemaencoding": "JSON"}
    assert [format_to_state(unions, form, call) for form in ("x", "segment")] == ["x", ""]
    assert [format_to_state({}, form, call) for form in ("x", "segment")] == ["", "segment"]


def test_of_a_union_that_holds_two_arrays_neither_is_dropped_in_silence() -> None:
    body = b'{"events": {"array": [1], "array": [2]}}'
    split = split_message(delivery(body, {"googclient_schemaencoding": "JSON"}))
    assert isinstance(split, Unreadable)
    assert split.problem.found == "a union that holds two arrays"


def test_of_a_key_that_comes_twice_the_last_value_counts() -> None:
    assert decode_event(b'{"a": 1, "a": 2}') == {"a": 2}


def test_a_byte_order_mark_is_no_problem() -> None:
    assert parts(b"\xef\xbb\xbf[1]") == (b"1",)
    lone = b'\xef\xbb\xbf{"a": 1}'
    assert parts(lone) == (lone,)
    assert decode_event(lone) == {"a": 1}


@pytest.mark.parametrize("rubbish", [pytest.param(value, id=name) for name, value in RUBBISH.items()])
@pytest.mark.parametrize("place", [0, 3, len(GOOD)])
@pytest.mark.parametrize("form", [b"[%b]", b'{"events": [%b]}', b'{"conversions":[%b], "at": NaN}'])
def test_rubbish_among_the_elements_is_an_event_of_its_own(rubbish: bytes, place: int, form: bytes) -> None:
    elements = [*GOOD[:place], rubbish, *GOOD[place:]]
    events = parts(form % b",".join(elements))
    assert events == tuple(elements)
    assert isinstance(decode_event(events[place]), Problem)


@pytest.mark.parametrize(
    "rubbish", [pytest.param(value, id=name) for name, value in RUBBISH.items() if value.startswith(b"{")]
)
def test_a_lone_event_that_cannot_be_read_is_an_unreadable_message(rubbish: bytes) -> None:
    assert refused(rubbish).path == "$"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "no data"),
        (b" \n", "no data"),
        (b"\xef\xbb\xbf", "no data"),
        (b"hello", "neither an object nor an array"),
        (b'"text"', "neither an object nor an array"),
        (b"5", "neither an object nor an array"),
        (b"null", "neither an object nor an array"),
        (b"\x1f\x8b\x08", "gzip'ed data that ends too soon"),
        (b'[{"a": 1}', "brackets that do not balance"),
        (b'[{"a": 1]', "brackets that do not balance"),
        (b'[{"a": 1}}', "brackets that do not balance"),
        (b"[" * 100_000, "brackets that do not balance"),
        (b'[{"a": "1}]', "text in quotes that has no end"),
        (b'["\\"]', "text in quotes that has no end"),
        (b'[{"a": 1}] [', "more after the last bracket"),
        (b"[1] 2", "more after the last bracket"),
        (b'{"a": 1}{"a": 2}', "more after the last bracket"),
        (b'{"a": 1}\n{"a": 2}', "more after the last bracket"),
    ],
)
def test_data_in_which_no_event_can_be_told_from_another_is_unreadable(data: bytes, found: str) -> None:
    assert refused(data).found == found


def test_elements_by_the_million_are_refused_before_they_cost_memory() -> None:
    assert refused(b"[" + b"1," * 1_500_000 + b"1]").found == f"more than {MAX_EVENTS} elements"
    assert refused(b"[" + b"1," * MAX_EVENTS + b"1]").found == f"more than {MAX_EVENTS} elements"
    assert parts(b"[" + b" ," * 1_500_000 + b"1]") == (b"1",)
    assert refused(b"{" + b'"a":1,' * 1_500_000 + b'"b":2}').found == f"more than {MAX_EVENTS} elements"


@pytest.mark.parametrize("around", [b"%b", b'{"events":%b}'])
def test_list_written_with_indices_for_keys_holds_no_more_events_than_others(around: bytes) -> None:
    indexed = b",".join(b'"%d":1' % index for index in range(MAX_EVENTS))
    assert len(split(around % b"{%b}" % indexed).events) == MAX_EVENTS
    too_many = around % b'{%b,"%d":1}' % (indexed, MAX_EVENTS)
    assert refused(too_many).found == f"more than {MAX_EVENTS} elements"


def test_marks_by_the_million_are_not_gone_through_to_the_end() -> None:
    assert refused(b"[" + b"," * 5_000_000 + b"]").found == "more brackets, commas and texts than events have"


def test_many_commas_inside_of_few_events_are_fine() -> None:
    event = b'{"a": [' + b"1," * 1_200_000 + b"1]}"
    assert parts(b"[" + event + b"]") == (event,)


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b'{"type": "track", "event": "Order Completed"}', "segment"),
        (b'{"type": "identify"}', "segment"),
        (b'{"type": "purchase"}', "x"),
        (b'{"type": ["track"]}', "x"),
        (b'{"batch": [{"type": "track"}]}', "segment"),
        (b'{"batch": 7}', "x"),
        (b'[{"type": "page"}]', "segment"),
        (b'[5, "track", {"type": "alias"}, {"params": 1}]', "segment"),
        (b'{"events": [{"type": "screen"}]}', "segment"),
        (b'{"type": "group", "params": {}}', "segment"),
        (b'{"client_id": "1.2", "events": [{"name": "purchase", "params": {}}]}', "ga4"),
        (b'{"events": [{"name": "purchase"}]}', "ga4"),
        (b'{"conversions": [{"name": "purchase"}]}', "x"),
        (b'{"events": [{"event": "purchase"}]}', "x"),
        (b'{"name": "purchase", "params": {}}', "ga4"),
        (b'{"event_name": "purchase", "event_params": []}', "ga4"),
        (b'[{"event_name": "purchase", "event_params": []}]', "ga4"),
        (b'{"event_name": "purchase", "app_instance_id": "a"}', "ga4"),
        (b'{"event_name": "purchase", "ip_override": "a"}', "ga4"),
        (b'{"event_name": "purchase", "x-ga-mp2-seg": "1"}', "ga4"),
        (b'{"event_name": "purchase", "x-sst-system_properties": {}}', "ga4"),
        (b'{"event_name": "purchase"}', "x"),
        (b'{"user": {"client_id": "1"}}', "x"),
        (b'[NaN, {"a": NaN}, {"event_params": []}]', "ga4"),
        (b'{"type": "track", "value": NaN}', "segment"),
        (b"[]", "x"),
    ],
)
def test_the_format_is_detected(data: bytes, form: str) -> None:
    result = split(data)
    assert result.format == form


def test_the_format_attribute_wins_over_detection() -> None:
    segment = b'[{"type": "track"}, {"type": "page"}]'
    assert split(segment, format="x").format == "x"
    assert split(b'{"event": "a"}', format="ga4").format == "ga4"
    assert split(segment, format=" Segment ").format == "segment"
    assert split(segment, format="").format == "segment"


def test_an_unknown_format_makes_the_message_unreadable_without_quoting_it() -> None:
    problem = refused(b"{}", format="alice@example.com")
    assert problem.path == "attributes.format"
    assert "alice" not in str(problem)


def test_fractions_are_decimals_and_never_pass_through_binary_floating_point() -> None:
    assert repr(decode_event(b'{"value": 0.10}')) == "{'value': Decimal('0.10')}"
    assert decode_event(b"1e3") == Decimal("1E+3")
    assert decode_event(b"12345678901234567890123") == 12345678901234567890123


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (b"", "nothing"),
        (RUBBISH["NaN"], "text that is no JSON"),
        (RUBBISH["no UTF-8"], "bytes that are no UTF-8"),
        (RUBBISH["a nesting bomb"], "JSON nested too deeply"),
    ],
)
def test_an_event_that_cannot_be_read_says_why(event: bytes, found: str) -> None:
    problem = decode_event(event)
    assert isinstance(problem, Problem)
    assert problem.found == found


@pytest.mark.parametrize("number", [b"1" * 10**6, b"-" + b"9" * 5_000, b"1e" + b"9" * 30, b"-0.1E-" + b"9" * 30])
def test_a_number_too_long_to_be_read_is_judged_where_it_stands(number: bytes) -> None:
    event = b'{"value": [' + number + b', 1.50], "n": 10000000000000000000000}'
    assert parts(b"[5," + event + b"]") == (b"5", event)
    assert parts(event) == (event,)
    assert decode_event(event) == {"value": [Decimal("Infinity"), Decimal("1.50")], "n": 10**22}


@pytest.mark.parametrize("rubbish", [b"NaN", b"Infinity", b"-Infinity", b"01", b"1e", b"\xff"])
def test_a_number_too_long_to_be_read_hides_nothing_that_is_no_json(rubbish: bytes) -> None:
    assert isinstance(decode_event(b"[1e" + b"9" * 30 + b", " + rubbish + b"]"), Problem)


def test_half_an_emoji_sinks_no_event() -> None:
    """JavaScript writes a lone surrogate where a text was cut; RFC 8259 allows it."""
    event = rb'{"event": "purchase", "name": "\ud83d\ude00 \ud83d", "sku": "\\ud83d"}'
    assert decode_event(event) == {"event": "purchase", "name": "😀 \ufffd", "sku": r"\ud83d"}


def test_nothing_prints_the_events() -> None:
    assert "alice" not in repr(split(b'[{"email": "alice@example.com"}]'))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)


def encoded(value: object) -> bytes:
    # Lone surrogates stay escaped: then it is JSON that no strict reader takes.
    return json.dumps(value, ensure_ascii=len(str(value)) % 2 == 0).encode("utf-8", "backslashreplace")


@given(st.binary(max_size=300))
@example(b"[" + b'"\\' * 10 + b"]")
@example(b'{"events":[' + b"\\" * 7 + b'"]}')
def test_any_bytes_are_split_or_refused(data: bytes) -> None:
    for form in (data, b"[" + data + b"]", b'{"events": [' + data + b"]}", b"{" + data + b"}"):
        assert isinstance(split_message(message(form)), RawMessage | Unreadable)
    decode_event(data)


@given(st.text(alphabet='[]{},:"\\ 1aeE.-\n', max_size=60))
def test_any_string_of_json_marks_is_split_or_refused(text: str) -> None:
    for form in (text, f"[{text}]", f'{{"events":[{text}]}}'):
        result = split_message(message(form.encode(), format="x"))
        assert isinstance(result, RawMessage | Unreadable)
        if isinstance(result, RawMessage):
            assert all(event in form.encode() for _, event in result.events)


@given(st.lists(JSON_VALUES, max_size=6))
def test_splitting_what_was_encoded_gives_the_encodings(values: list[object]) -> None:
    elements = tuple(encoded(value) for value in values)
    for form in (b"[%b]", b'{"events": [%b]}'):
        assert parts(form % b", ".join(elements), format="x") == elements


@given(
    st.lists(JSON_VALUES, max_size=5), st.lists(st.sampled_from(sorted(RUBBISH)), min_size=1, max_size=3), st.randoms()
)
def test_rubbish_anywhere_leaves_its_neighbours_as_they_are(
    values: list[object], names: list[str], random: Random
) -> None:
    elements = [encoded(value) for value in values] + [RUBBISH[name] for name in names if len(RUBBISH[name]) < 1000]
    random.shuffle(elements)
    for form in (b"[%b]", b'{"events": [%b]}'):
        assert parts(form % b",".join(elements), format="x") == tuple(elements)
