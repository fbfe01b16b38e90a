"""Nothing leaves without its planted element, and no real identifier or id is in what leaves."""

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.client import conversion, post
from xcapi_core import cli
from xcapi_core.cli.x.client import XAnswer, XClient
from xcapi_core.cli.x.questions import Judgement, Question, Surprise, ask_about, ask_control, put, read_answer
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.x_api.credentials import OAuth1Keys

KEYS = OAuth1Keys(
    consumer_key=DEMO_OAUTH_KEYS.consumer_key,
    consumer_secret=DEMO_OAUTH_KEYS.consumer_secret,
    access_token=DEMO_OAUTH_KEYS.access_token,
    access_token_secret=DEMO_OAUTH_KEYS.access_token_secret,
)
REAL = {
    "twclid": "23opevjt88psuo13lu8d020qkn",
    "hashed_email": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
    "hashed_phone_number": "1c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52e",
    "ip_address": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (Macintosh)",
}


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with SandboxServer() as server:
        yield server


def ask(sandbox: SandboxServer, question: Question, pixel_id: str = "o8z6j") -> Judgement | Surprise:
    client = XClient(sandbox.url, "12", KEYS)
    return read_answer(question, put(question, client, pixel_id))


def test_nothing_leaves_without_the_element_that_x_must_refuse(sandbox: SandboxServer) -> None:
    before = len(sandbox.requests())
    good = ask_control()
    digest = REAL["hashed_email"]
    for bad in (
        replace(good, planted="another"),
        replace(good, conversion={**good.conversion, "identifiers": [REAL]}),
        replace(good, planted=digest, conversion={**good.conversion, "identifiers": [{"hashed_email": digest}]}),
    ):
        with pytest.raises(ValueError, match="must refuse"):
            ask(sandbox, bad)
    assert len(sandbox.requests()) == before


def test_conversions_leave_the_commands_in_one_place() -> None:
    def is_sending(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == "post_conversions"

    folder = Path(cli.__file__).parent
    places = [
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if is_sending(node)
    ]
    assert places == ["x/questions.py"]


def test_control_is_judged_and_counts_nothing(sandbox: SandboxServer) -> None:
    before = sandbox.counts()["accepted"]
    found = ask(sandbox, ask_control())
    assert isinstance(found, Judgement)
    assert {code for code, _ in found.errors} == {"NOT_FOUND", "INVALID_PARAMETER"}
    assert sandbox.counts()["accepted"] == before


def test_good_conversion_has_no_other_complaint_and_a_bad_one_has_x_s_words(sandbox: SandboxServer) -> None:
    good = ask(sandbox, ask_about(conversion(identifiers=[REAL]), with_value=False))
    assert good == Judgement(())
    bad = ask(sandbox, ask_about(conversion(event_id="nope"), with_value=False))
    assert isinstance(bad, Judgement)
    assert any("event_id (nope)" in message for _, message in bad.errors)


def test_x_that_drops_the_bad_identifier_and_counts_the_rest_is_a_surprise() -> None:
    counted = XAnswer(status=200, document={"data": {"conversions_processed": 1}}, text="{}")
    found = read_answer(ask_control(), counted)
    assert isinstance(found, Surprise)
    assert found.may_have_counted


@pytest.mark.parametrize("status", [408, 500, 503])
def test_error_of_x_s_own_may_have_counted_before_it(status: int) -> None:
    found = read_answer(ask_control(), XAnswer(status=status, document={}, text=""))
    assert isinstance(found, Surprise)
    assert found.may_have_counted


@pytest.mark.parametrize("status", [400, 404, 401, 429])
def test_refusal_that_does_not_quote_what_was_planted_is_a_surprise(status: int) -> None:
    found = read_answer(ask_control(), XAnswer(status=status, document={}, text='{"errors": []}'))
    assert isinstance(found, Surprise)
    assert not found.may_have_counted


@given(
    st.sets(st.sampled_from(sorted(REAL)), min_size=1),
    st.text(alphabet="abcdef0123456789-", min_size=4, max_size=40),
    st.booleans(),
    st.sampled_from(["event_source_url", "search_string", "description", "contents"]),
)
def test_nothing_of_the_person_or_the_order_is_in_any_question(
    kinds: set[str],
    conversion_id: str,
    with_value: bool,  # noqa: FBT001 - hypothesis gives it
    place: str,
) -> None:
    identifiers = {kind: REAL[kind] for kind in kinds}
    repeated: object = f"https://shop.example/{conversion_id}?{next(iter(identifiers.values()))}"
    real = conversion(identifiers=[identifiers], conversion_id=conversion_id)
    real[place] = [{"content_id": repeated, "content_price": "77.00"}] if place == "contents" else repeated
    question = ask_about(real, with_value=with_value)
    text = question.body.decode()
    sent = json.loads(text)["conversions"][0]
    assert sent["identifiers"][-1] == {"hashed_email": question.planted}
    assert set(sent["identifiers"][0]) == kinds
    assert not any(value in text for value in identifiers.values())
    assert sent["conversion_id"] != conversion_id
    assert place not in sent
    assert question.left_out == (place,)
    assert ("value" in sent) is with_value


def test_amounts_are_left_out_unless_wanted() -> None:
    real = conversion(contents=[{"content_id": "A", "content_price": "10.00"}])
    without, with_ = (ask_about(real, with_value=wanted).conversion for wanted in (False, True))
    assert without["contents"] == [{"content_id": "A"}]
    assert "value" not in without
    assert (with_["value"], with_["contents"]) == ("20.00", [{"content_id": "A", "content_price": "10.00"}])


def test_two_questions_share_no_id(sandbox: SandboxServer) -> None:
    first, second = ask_control(), ask_control()
    assert first.planted != second.planted
    assert first.conversion["conversion_id"] != second.conversion["conversion_id"]
    assert post(sandbox, conversion()).status_code == 200


def test_neither_question_nor_answer_shows_itself() -> None:
    question = ask_about(conversion(identifiers=[REAL]), with_value=True)
    shown = repr((question, XAnswer(status=400, document={"a": "secret"}, text="secret")))
    assert not any(value in shown for value in (*REAL.values(), "secret", "20.00"))
