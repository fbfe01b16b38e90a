"""The configuration: what is read, what is refused, with which words, and that nothing else can happen."""

import copy
import json
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xcapi_core.problems import Problem
from xcapi_core.settings import Settings
from xcapi_core.settings.phone_regions import PHONE_REGIONS
from xcapi_core.settings.reader import ConfigurationError, load_settings, read_settings
from xcapi_core.settings.summary import summary

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases.jsonl").read_text().splitlines()]
ACCEPTED = [case for case in CASES if "reads" in case]
REFUSED = [case for case in CASES if "problems" in case]

MINIMAL: dict[str, Any] = {
    "dead_letter_topic": "projects/my-project/topics/x-conversions-dead-letter",
    "pixels": {
        "o8z6j": {
            "credentials": "projects/my-project/secrets/x-ads-o8z6j/versions/latest",
            "event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"},
        }
    },
}


def changed(case: dict[str, Any]) -> str:
    document = copy.deepcopy(MINIMAL)
    for path, value in case.get("set", {}).items():
        *sections, key = path.split(".")
        section = document
        for name in sections:
            section = section[name]
        section[key] = value
    for path in case.get("remove", ()):
        *sections, key = path.split(".")
        section = document
        for name in sections:
            section = section[name]
        del section[key]
    return json.dumps(document)


def refusal(document: bytes | str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(document)
    return caught.value.problems


def at(settings: Settings, path: str) -> object:
    value: object = settings
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["case"])
def test_accepted_configurations_read_as_the_table_says(case: dict[str, Any]) -> None:
    settings = read_settings(changed(case))
    assert {path: at(settings, path) for path in case["reads"]} == case["reads"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
def test_refused_configurations_name_every_problem_of_the_table_and_no_other(case: dict[str, Any]) -> None:
    problems = refusal(changed(case))
    assert sorted((p.path, p.found) for p in problems) == sorted((path, found) for path, found, *_ in case["problems"])
    for path, _, *expected in case["problems"]:
        told = next(problem.expected for problem in problems if problem.path == path)
        assert all(part in told for part in expected), told
    assert "SECRET" not in " ".join(map(str, problems))


def test_pixel_has_its_settings() -> None:
    pixel = read_settings(json.dumps(MINIMAL)).pixels["o8z6j"]
    assert pixel.pixel_id == "o8z6j"
    assert pixel.credentials == "projects/my-project/secrets/x-ads-o8z6j/versions/latest"
    assert pixel.event_ids == {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"}
    assert pixel.conversion_id_from is None
    assert pixel.consent_categories == ()


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ('{"dry_run": true "x"}', "no JSON from line 1, column 18 on"),
        ('{\n  "dry_run": yes\n}', "no JSON from line 2, column 14 on"),
        ("", "no JSON from line 1, column 1 on"),
        ("{} {}", "no JSON from line 1, column 4 on"),
        ("[" * 200_000, "JSON nested too deeply"),
        ('{"a":' * 200_000, "JSON nested too deeply"),
        (b'{"dry_run": "\xff"}', "bytes that are no UTF-8 from byte 13 on"),
        ("null", "null"),
        ("[]", "a list"),
        ('"text"', "text of 4 characters"),
        (" " * 1_100_000, "a document without end"),
    ],
)
def test_what_is_no_json_object_is_refused_with_its_place(document: bytes | str, found: str) -> None:
    (problem,) = refusal(document)
    assert problem.path == "$"
    assert problem.found.startswith(found)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5_000, "-" + "9" * 5_000])
def test_numbers_without_bounds_are_refused(number: str) -> None:
    document = json.dumps(MINIMAL)[:-1] + f', "request_timeout_s": {number}, "batch": {{"max_conversions": {number}}}}}'
    assert [(problem.path, problem.found) for problem in refusal(document)] == [
        ("request_timeout_s", "a number without bounds"),
        ("batch.max_conversions", "a number without bounds"),
    ]


def test_a_key_given_twice_is_refused_since_one_of_the_two_would_be_lost() -> None:
    document = json.dumps(MINIMAL)[:-1] + ', "dry_run": true, "dry_run": false}'
    assert [(problem.path, problem.found) for problem in refusal(document)] == [
        ("dry_run", "the key more than once"),
    ]


def test_a_byte_order_mark_is_no_problem() -> None:
    expected = read_settings(json.dumps(MINIMAL))
    assert read_settings(b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode()) == expected


def test_names_that_cannot_be_printed_are_escaped_and_cut_in_a_problem() -> None:
    document = json.dumps(MINIMAL | {"\ud800\n": 1, "k" * 1000: 2})
    told = [problem.path for problem in refusal(document)]
    assert told == ["'\\ud800\\n'", repr("k" * 64)]


def test_the_error_lists_its_problems_one_a_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(json.dumps(MINIMAL | {"dry_run": 1, "consent": "x"}))
    assert str(caught.value).splitlines() == [
        "the configuration has 2 problems:",
        '  consent: found "x", expected one of "respect", "require", "ignore"',
        "  dry_run: found 1, expected true or false",
    ]


def test_document_comes_from_the_variable_or_from_the_file_that_the_other_names(tmp_path: Path) -> None:
    file = tmp_path / "xcapi.json"
    file.write_text(json.dumps(MINIMAL))
    expected = read_settings(json.dumps(MINIMAL))
    assert load_settings({"XCAPI_CONFIG": json.dumps(MINIMAL)}) == expected
    assert load_settings({"XCAPI_CONFIG_FILE": str(file)}) == expected
    assert load_settings({"XCAPI_CONFIG_FILE": str(file), "XCAPI_CONFIG": ""}) == expected


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, ("XCAPI_CONFIG", "nothing")),
        ({"XCAPI_CONFIG": " ", "XCAPI_CONFIG_FILE": ""}, ("XCAPI_CONFIG", "nothing")),
        ({"XCAPI_CONFIG": "{}", "XCAPI_CONFIG_FILE": "a"}, ("XCAPI_CONFIG", "this and XCAPI_CONFIG_FILE")),
        ({"XCAPI_CONFIG": "my/config.json"}, ("XCAPI_CONFIG", "a file's name")),
        ({"XCAPI_CONFIG_FILE": "/no/such/file"}, ("XCAPI_CONFIG_FILE", "No such file or directory")),
        ({"XCAPI_CONFIG_FILE": "/"}, ("XCAPI_CONFIG_FILE", "Is a directory")),
        ({"XCAPI_CONFIG_FILE": "a\0b"}, ("XCAPI_CONFIG_FILE", "no file name")),
        ({"XCAPI_CONFIG_FILE": "/dev/zero"}, ("$", "a document without end")),
    ],
)
def test_neither_both_or_no_readable_file_is_a_problem(environ: dict[str, str], problem: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    assert [(told.path, told.found) for told in caught.value.problems] == [problem]


def test_summary_shows_what_runs_and_no_reference() -> None:
    document = copy.deepcopy(MINIMAL)
    document["pixels"]["abc"] = {"credentials": "file:/etc/keys.json", "event_ids": {"lead": "xyz"}}
    document["pixels"]["def"] = {"credentials": "env:X_KEYS", "event_ids": {"lead": "xyz"}}
    shown = json.dumps(summary(read_settings(json.dumps(document))))
    assert json.loads(shown) == {
        "dead_letter_topic": "pubsub",
        "remainder_topic": None,
        "pixels": {
            "o8z6j": {
                "credentials": "secret_manager",
                "events": ["purchase", "sign_up"],
                "conversion_id_from": None,
                "consent_categories": [],
            },
            "abc": {"credentials": "file", "events": ["lead"], "conversion_id_from": None, "consent_categories": []},
            "def": {"credentials": "env", "events": ["lead"], "conversion_id_from": None, "consent_categories": []},
        },
        "default_pixel": None,
        "default_phone_region": None,
        "default_currency": None,
        "consent": "respect",
        "on_unauthorized": "dead_letter",
        "max_event_age_hours": None,
        "dry_run": False,
        "api_base_url": "https://ads-api.x.com",
        "api_version": "12",
        "request_timeout_s": 10.0,
        "settle_timeout_s": 50.0,
        "batch": {"max_conversions": 500, "max_in_flight": 4},
        "log_conversion_ids": "digest",
        "rate": {"events": 60000, "window_s": 900.0},
    }
    assert not any(part in shown for part in ("my-project", "x-ads", "X_KEYS", "/etc"))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = ["dead_letter_topic", "remainder_topic", "log_conversion_ids"]
KEYS += ["pixels", "default_pixel", "default_phone_region", "default_currency", "consent"]
KEYS += ["on_unauthorized", "max_event_age_hours", "dry_run", "api_base_url", "api_version", "request_timeout_s"]
KEYS += ["settle_timeout_s", "batch", "rate", "pixels.o8z6j", "pixels.o8z6j.credentials", "pixels.o8z6j.event_ids"]
KEYS += ["pixels.o8z6j.conversion_id_from", "pixels.o8z6j.consent_categories", "pixels.o8z6j.event_ids.purchase"]


def read_or_refuse(document: bytes | str) -> None:
    """Read; whatever comes is settings that can be summed up, or problems that can be printed."""
    try:
        settings = read_settings(document)
    except ConfigurationError as error:
        told = [str(problem).encode() for problem in error.problems]
    else:
        told = [json.dumps(summary(settings), allow_nan=False).encode()]
    assert told


@given(st.sampled_from(KEYS), ANYTHING)
@example("pixels", {"o8z6j": {"credentials": "file:\ud800", "event_ids": {"a": "b"}}})
@example("pixels.o8z6j.event_ids", {"\ud800": "b"})
def test_no_value_of_any_key_does_anything_but_start_or_stop_with_problems(key: str, value: object) -> None:
    read_or_refuse(changed({"set": {key: value}}))


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_bytes_do_anything_but_stop_with_problems(document: bytes | str) -> None:
    read_or_refuse(document)


@given(st.data(), st.integers(min_value=0))
def test_no_cut_and_no_changed_character_does_anything_else_either(data: st.DataObject, position: int) -> None:
    document = json.dumps(MINIMAL)
    position %= len(document)
    read_or_refuse(document[:position] + data.draw(st.text(max_size=3)) + document[position + 1 :])
    read_or_refuse(document[:position])


def test_phone_regions_are_those_that_numbers_are_read_for() -> None:
    assert phonenumbers.SUPPORTED_REGIONS == PHONE_REGIONS
