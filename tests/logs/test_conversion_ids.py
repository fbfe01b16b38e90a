"""A line names its conversions as the configuration says, and never by what may be a person's."""

import json

import pytest

from xcapi_core import logs

PIXEL = "o8z6j"


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_digest_is_the_first_16_hex_digits_of_sha_256_over_pixel_and_id(capfd: pytest.CaptureFixture[str]) -> None:
    logs.emit_naming("INFO", "batch.delivered", [(PIXEL, "10001")], "digest", conversions=1)
    (line,) = lines(capfd)
    # printf 'o8z6j|10001' | sha256sum
    assert line["conversion_digests"] == ["9690e45c21d45a1b"]
    assert "conversion_ids" not in line
    assert line["conversions"] == 1


def test_plain_is_the_id_itself_also_where_it_looks_like_a_digest(capfd: pytest.CaptureFixture[str]) -> None:
    ids = ["10001", "0123456789abcdef0123456789abcdef", "größe\n"]
    logs.emit_naming("INFO", "batch.delivered", [(PIXEL, name) for name in ids], "plain")
    (line,) = lines(capfd)
    assert line["conversion_ids"] == ids
    assert "10001" not in str(line["message"])


def test_off_names_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    logs.emit_naming("INFO", "batch.delivered", [(PIXEL, "10001")], "off", conversions=1)
    (line,) = lines(capfd)
    assert not {"conversion_ids", "conversion_digests"} & line.keys()


@pytest.mark.parametrize("how", ["digest", "plain"])
@pytest.mark.parametrize("personal", ["jane@example.com", "a" * 64, "0F" * 32])
def test_what_may_be_an_address_or_its_hash_is_named_in_no_mode(
    personal: str, how: logs.HowToName, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.emit_naming("INFO", "batch.delivered", [(PIXEL, personal)], how, conversions=1)
    (line,) = lines(capfd)
    assert not {"conversion_ids", "conversion_digests"} & line.keys()


@pytest.mark.parametrize("awkward", ["x" * 900, "\x01" * 300, "\ud800" * 300], ids=["long", "escaped", "surrogates"])
def test_longer_lists_take_several_entries_below_64_kb(awkward: str, capfd: pytest.CaptureFixture[str]) -> None:
    ids = [f"{number}-{awkward}" for number in range(500)]
    logs.emit_naming(
        "INFO", "batch.delivered", [(PIXEL, name) for name in ids], "plain", pixel_id=PIXEL, conversions=500
    )
    written = capfd.readouterr().out.splitlines()
    entries = [json.loads(line) for line in written]
    assert [name for entry in entries for name in entry["conversion_ids"]] == ids
    assert len(entries) > 1
    assert max(len(line.encode()) for line in written) < 64_000
    assert {entry["event"] for entry in entries} == {"batch.delivered"}
    assert [entry.get("conversions") for entry in entries] == [500] + [None] * (len(entries) - 1)
    assert {entry["pixel_id"] for entry in entries} == {PIXEL}


def test_an_id_that_no_entry_can_hold_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    logs.emit_naming("INFO", "batch.delivered", [(PIXEL, "x" * 70_000), (PIXEL, "10001")], "plain")
    (line,) = lines(capfd)
    assert line["conversion_ids"] == ["10001"]


def test_no_other_field_may_hold_a_list(capfd: pytest.CaptureFixture[str]) -> None:
    logs.emit("INFO", "batch.delivered", names=["jane@example.com"])
    (line,) = lines(capfd)
    assert "names" not in line
    assert line["hidden_fields"] == "names"
