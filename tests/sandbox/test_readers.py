from typing import Any

import pytest

from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, KeyRing, OAuthKeys, SandboxConfig
from xcapi_core.sandbox.config_reader import read_config
from xcapi_core.sandbox.key_reader import read_keys

FOUR: dict[str, Any] = {"consumer_key": "a", "consumer_secret": "b", "access_token": "c", "access_token_secret": "d"}
CURRENT = KeyRing(oauth=(DEMO_OAUTH_KEYS,), pixel_tokens={"o8z6j": ("t1",), "p9q7k": ("t2",)})


def test_new_keys_take_the_place_of_those_of_their_kind() -> None:
    keys, problems = read_keys({"oauth": [FOUR | {"ads_api_access": False, "pixel_ids": ["o8z6j"]}]}, CURRENT)
    assert not problems
    assert keys.oauth == (OAuthKeys(**FOUR, ads_api_access=False, pixel_ids=frozenset({"o8z6j"})),)
    assert keys.pixel_tokens == CURRENT.pixel_tokens


def test_new_tokens_take_the_place_of_their_pixel_s() -> None:
    keys, problems = read_keys({"pixel_tokens": {"o8z6j": ["t3", "t4"], "p9q7k": []}}, CURRENT)
    assert not problems
    assert keys == KeyRing(oauth=CURRENT.oauth, pixel_tokens={"o8z6j": ("t3", "t4"), "p9q7k": ()})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "keys: found null"),
        ({"oauth": {}}, "keys.oauth: found an object"),
        ({"oauth": ["x"]}, "keys.oauth[0]: found a string"),
        ({"oauth": [{"consumer_key": "a"}]}, "keys.oauth[0].access_token: found nothing"),
        ({"oauth": [FOUR | {"consumer_secret": 5}]}, "keys.oauth[0].consumer_secret: found the number 5"),
        ({"oauth": [FOUR | {"pixel_ids": [1]}]}, "a list of pixel ids"),
        ({"pixel_tokens": ["x"]}, "keys.pixel_tokens: found a list"),
        ({"pixel_tokens": {"o8z6j": 5}}, "keys.pixel_tokens.o8z6j: found the number 5"),
        ({"tokens": {}}, "keys.tokens: found an unknown field"),
    ],
)
def test_bad_keys_are_refused_and_change_nothing(found: object, words: str) -> None:
    keys, problems = read_keys(found, CURRENT)
    assert words in "\n".join(map(str, problems))
    assert keys == CURRENT


def test_problems_never_quote_a_secret() -> None:
    _, problems = read_keys({"oauth": ["hunter2"], "pixel_tokens": {"o8z6j": [["hunter2"]]}}, CURRENT)
    assert len(problems) == 2
    assert "hunter2" not in "".join(map(str, problems))


def test_empty_configuration_is_the_default_one() -> None:
    assert read_config({}) == (SandboxConfig(), [])


def test_configuration_names_pixels_keys_and_limits() -> None:
    config, problems = read_config(
        {
            "pixels": {"abc12": {"account_id": "acc", "event_tags": {"t1": "purchase"}}, "abc13": {}},
            "keys": {"pixel_tokens": {"abc12": "token"}},
            "events_per_window": 10,
            "any_tag": True,
        }
    )
    assert not problems
    assert [pixel.account_id for pixel in config.pixels] == ["acc", "account-of-abc13"]
    assert config.keys.pixel_tokens["abc12"] == ("token",)
    assert (config.events_per_window, config.any_tag, config.window_s) == (10, True, 900.0)


def test_every_problem_of_a_configuration_is_named_at_once() -> None:
    _, problems = read_config(
        {"pixels": {"a": 5, "b": {"event_tags": ["t"]}}, "keys": {"oauth": 1}, "window_s": -1, "colour": "blue"}
    )
    assert {problem.path for problem in problems} == {
        "config.pixels.a",
        "config.pixels.b.event_tags",
        "keys.oauth",
        "config.window_s",
        "config.colour",
    }


@pytest.mark.parametrize("found", [None, [], "x", {"pixels": []}, {"keys": 5}])
def test_configuration_of_another_shape_is_refused(found: object) -> None:
    assert read_config(found)[1]
