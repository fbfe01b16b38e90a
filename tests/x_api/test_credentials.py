"""What a secret's payload may hold, and that none of it can print itself."""

import traceback

import pytest

from xcapi_core.x_api.credentials import CredentialsError, OAuth1Keys, PixelToken, read_credentials

FOUR = b'{"consumer_key":"ck1","consumer_secret":"cs2","access_token":"at3","access_token_secret":"ats4"}'


def test_the_oauth_four_are_read_and_pasted_white_space_is_cut() -> None:
    keys = read_credentials(FOUR.replace(b"cs2", b" cs2\\n"))
    assert keys == OAuth1Keys(consumer_key="ck1", consumer_secret="cs2", access_token="at3", access_token_secret="ats4")


def test_a_pixel_token_is_read() -> None:
    assert read_credentials(b'{"pixel_token":"pt5"}') == PixelToken(pixel_token="pt5")


def test_the_four_win_over_a_token_beside_them() -> None:
    assert isinstance(read_credentials(FOUR[:-1] + b',"pixel_token":"pt5"}'), OAuth1Keys)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "no JSON"),
        (b"ck1:hunter2", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'["hunter2"]', "no object"),
        (b'{"consumer_key":"hunter2"}', "consumer_secret, access_token, access_token_secret"),
        (FOUR.replace(b'"cs2"', b"17"), "consumer_secret"),
        (FOUR.replace(b"cs2", b""), "consumer_secret"),
        (FOUR.replace(b"cs2", b"a\\r\\nX: b"), "consumer_secret"),
        (b'{"pixel_token":"hunter2","access_token":"x"}', "consumer_key"),
    ],
)
def test_an_unusable_payload_says_what_is_missing_and_nothing_of_what_is_there(payload: bytes, words: str) -> None:
    with pytest.raises(CredentialsError, match=words) as caught:
        read_credentials(payload)
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "expected {consumer_key" in shown


def test_keys_show_in_no_repr() -> None:
    shown = repr(read_credentials(FOUR)) + repr(read_credentials(b'{"pixel_token":"pt5"}'))
    assert not any(value in shown for value in ("ck1", "cs2", "at3", "ats4", "pt5"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_payload_with_a_byte_order_mark_is_read(encoding: str) -> None:
    text = ("\ufeff" if encoding.endswith("e") else "") + '{"pixel_token":"t"}'
    assert read_credentials(text.encode(encoding)) == PixelToken(pixel_token="t")


@pytest.mark.parametrize("payload", [b"\xff\xfe", b"\xff\xfe{", b"\xef\xbb\xbf", b"\xfe\xff\xd8\x00"])
def test_a_byte_order_mark_before_nothing_readable_is_no_secret(payload: bytes) -> None:
    with pytest.raises(CredentialsError, match="no JSON"):
        read_credentials(payload)
