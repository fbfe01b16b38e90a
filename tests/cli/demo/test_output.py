"""What the demo prints: for a terminal, a pipe and a script."""

import io
import json
from collections.abc import Mapping

from rich.console import Console

from xcapi_core.cli.demo.account import Account, EndedGroup
from xcapi_core.cli.demo.performance import ActReport, Example, Report
from xcapi_core.cli.demo.planned import Act, Delivered, PlannedEvent, PlannedMessage
from xcapi_core.cli.demo.rendering import as_json, show
from xcapi_core.cli.demo.watching import LinesOutput, Output, TerminalOutput

EVENT = PlannedEvent(label="one", conversion_id="one", payload=b"{}", expected=Delivered("o8z6j"))
ACT = Act(title="X answers 429", messages=(PlannedMessage(data=b"{}", events=(EVENT,) * 50),))
ANSWERS: Mapping[int, int] = {429: 1, 0: 2, 200: 3}
ACT_REPORT = ActReport(title=ACT.title, events=50, settled=50, requests=6, answers=ANSWERS, seconds=3.14)
DIGEST = "5d41402abc4b2a76b9719d911017c592" * 2


def report(problems: tuple[str, ...] = ()) -> Report:
    ends = (
        EndedGroup(act=ACT.title, count=49, end="delivered", why="X accepted it at pixel o8z6j"),
        EndedGroup(act=ACT.title, count=1, end="dead-lettered", why="rejected: [bold]" + "quite " * 40 + "bad"),
    )
    return Report(
        pubsub="an embedded Pub/Sub",
        notes=(),
        acts=(ACT_REPORT,),
        account=Account(groups=ends, settled={ACT.title: 50}, problems=()),
        problems=problems,
        example=Example(
            message=b'{"email": "ada@example.com"}',
            request_line="POST /12/measurement/conversions/o8z6j",
            headers={"authorization": 'OAuth oauth_nonce="***", oauth_signature="***"'},
            conversion={"event_id": "tw-o8z6j-o8z21", "identifiers": [{"hashed_email": DIGEST}]},
        ),
        secret_reads=4,
        seconds=7.9,
    )


def printed(shown: Report, width: int = 80) -> str:
    file = io.StringIO()
    show(shown, Console(file=file, width=width))
    return file.getvalue()


def play(output: Output) -> None:
    with output:
        output.step("the sandbox")
        output.begins(1, 50)
        output.act_begins(ACT)
        output.settled(ACT, 20)
        output.settled(ACT, 50)
        output.act_ends(ACT_REPORT)


def test_report_fits_80_columns_and_keeps_every_word() -> None:
    text = printed(report())
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "X answers 429   6 requests, 0.12 per event" in text
    assert "rejected: [bold]quite" in text  # markup in X's words is text
    assert text.count("quite") == 40


def test_message_stands_beside_its_request_where_there_is_room() -> None:
    wide = next(line for line in printed(report(), 120).splitlines() if "one Pub/Sub message" in line)
    narrow = next(line for line in printed(report(), 80).splitlines() if "one Pub/Sub message" in line)
    assert "the signed request it became" in wide
    assert "the signed request it became" not in narrow


def test_digests_are_cut_short() -> None:
    assert '"hashed_email": "5d41402a…"' in printed(report())


def test_verdict_is_the_last_line_and_problems_are_listed() -> None:
    assert printed(report()).splitlines()[-1] == "Every event ended where it should."
    lines = printed(report(("act: “one” is missing.",))).splitlines()
    assert lines[-2:] == ["Not every event ended where it should:", "  act: “one” is missing."]


def test_json_holds_the_same_account() -> None:
    document = json.loads(as_json(report(("lost",))))
    assert document["ok"] is False
    assert document["problems"] == ["lost"]
    assert document["requests_per_event"] == 0.12
    (act,) = document["acts"]
    assert act["answers"] == {"0": 2, "200": 3, "429": 1}
    assert act["ends"][0] == {"events": 49, "end": "delivered", "why": "X accepted it at pixel o8z6j"}
    assert document["example"]["request"]["line"] == "POST /12/measurement/conversions/o8z6j"


def test_pipe_gets_a_line_for_each_step_and_act() -> None:
    file = io.StringIO()
    play(LinesOutput(Console(file=file)))
    assert file.getvalue().splitlines() == [
        "Starting the sandbox",
        "Publishing 50 events in 1 acts",
        " 1/1 X answers 429: 50 of 50 settled, X answered 429 ×1, nothing ×2, 200 ×3, 3.1 s",
    ]


def test_terminal_ends_with_full_bars_and_xs_answers() -> None:
    file = io.StringIO()
    play(TerminalOutput(Console(file=file, force_terminal=True, width=80, legacy_windows=False)))
    last_frame = file.getvalue().rpartition("X answers 429")[2]
    assert "50/50" in last_frame
    assert "429 ×1, nothing ×2, 200 ×3" in last_frame
    assert "1 acts, events settled" in last_frame
