"""Event names and tags, where the case tables' configuration cannot reach."""

import pytest

from xcapi_core.events.tags import belongs_to, find_tag, list_names
from xcapi_core.settings import PixelSettings


def test_exact_name_wins_over_one_that_only_means_the_same() -> None:
    event_ids = {"sign_up": "tw-o8z6j-a", "Sign-Up": "tw-o8z6j-b"}
    assert find_tag(event_ids, "Sign-Up") == "tw-o8z6j-b"
    assert find_tag(event_ids, "SIGN UP") == "tw-o8z6j-a"
    assert find_tag(event_ids, "signup") is None


@pytest.mark.parametrize("tag", ["tw-o8z6j-o8z21", "TW-O8Z6J-o8z21", "o8z21", "tw-", "tw-p2abc", "a-b-c", "-", ""])
def test_tag_that_names_no_other_pixel_is_left_to_x(tag: str) -> None:
    assert belongs_to(tag, "o8z6j")


@pytest.mark.parametrize("tag", ["tw-p2abc-o8z21", "TW-p2abc-o8z21", "tw--o8z21", "tw-o8z6-j-o8z21"])
def test_tag_of_another_pixel_is_told(tag: str) -> None:
    assert not belongs_to(tag, "o8z6j")


def test_long_list_of_names_is_cut() -> None:
    event_ids = {f"event_{number}": f"tw-o8z6j-{number}" for number in range(31)}
    listed = list_names(PixelSettings(pixel_id="o8z6j", credentials="env:KEYS", event_ids=event_ids))
    assert listed.endswith("event_29, …")
