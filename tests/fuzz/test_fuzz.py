"""A short slice of the fuzzing in every test run: what was kept, and a thousand inputs that are the same everywhere."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.engines import run_plain
from tests.fuzz.inputs import CORPUS, chosen, joined, load_corpus, parted
from tests.fuzz.logged import LogTap
from tests.fuzz.mutation import Words
from tests.fuzz.planted import PERSONAL, Leaked, assert_discreet
from tests.fuzz.session import Session
from tests.fuzz.targets import TARGETS
from tests.fuzz.targets.deliveries import Deliveries
from tests.virtual_time import Hanging, VirtualLoop

INPUTS = 1_000


@pytest.fixture
def log() -> Iterator[LogTap]:
    with LogTap() as tap:
        yield tap


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found_among_the_kept_inputs_and_a_thousand_new_ones(target: str, log: LogTap) -> None:
    session = Session(TARGETS[target](), log)
    kept = len(session.target.seeds()) + len(load_corpus(target))
    run_plain(session, inputs=kept + INPUTS, seconds=240.0, seed=1)
    found = "\n".join(f"{finding.data!r}\n{finding.trace}" for finding in session.findings.values())
    assert not found, found
    assert session.inputs > kept
    assert len(session.behaviours) > 10


@pytest.mark.parametrize("target", TARGETS)
def test_an_input_behaves_alike_each_time(target: str, log: LogTap) -> None:
    entry = TARGETS[target]()
    for data in entry.seeds()[:20]:
        assert entry.run(data, log) == entry.run(data, log)


def test_messages_are_handed_over_in_part_while_fuzzing(log: LogTap) -> None:
    target = Deliveries()
    behaviours = [target.run(seed, log) for seed in target.seeds()[-6:]]
    assert any(behaviour[1] for behaviour in behaviours if isinstance(behaviour, tuple))


def test_every_corpus_is_a_target_s() -> None:
    assert {file.stem for file in CORPUS.glob("*")} <= set(TARGETS)


# --- what goes wrong is found ---


class _EntryPoint:
    """A target that does what a test wants."""

    name = "entry"
    words = Words(names=("a",), head={})

    def __init__(self, behaviour: Callable[[], object]) -> None:
        self._behaviour = behaviour

    def seeds(self) -> list[bytes]:
        return [b"{}\nlonger", b"{}\n1"]

    def run(self, data: bytes, log: LogTap) -> str:
        self._behaviour()
        log.lines()
        return str(len(data))


def _write(line: str) -> Callable[[], object]:
    return lambda: os.write(1, f"{line}\n".encode())


def _loop() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        pytest.param(lambda: 1 / 0, "ZeroDivisionError", id="crash"),
        pytest.param(_write(f'{{"message": "for {PERSONAL["email"]}"}}'), "a log line shows 'zq7k'", id="leak"),
        pytest.param(_write('{"stack_trace": "somewhere"}'), "a crash was logged", id="crash that was caught"),
        pytest.param(_write("plain text"), "JSONDecodeError", id="line that is no JSON"),
        pytest.param(_loop, "more than 0.5 s of processor time", id="endless loop"),
    ],
)
def test_mistake_is_found_once_with_its_shortest_input(
    behaviour: Callable[[], object], words: str, log: LogTap
) -> None:
    session = Session(_EntryPoint(behaviour), log, hanging_s=0.5)
    session.watch()
    run_plain(session, inputs=2, seconds=60.0, seed=1)
    (finding,) = session.findings.values()
    assert words in finding.what
    assert finding.times == 2
    assert finding.data == b"{}\n1"


@pytest.mark.parametrize("value", PERSONAL.values())
def test_every_planted_value_is_recognised(value: str) -> None:
    with pytest.raises(Leaked):
        assert_discreet("a text", f"…{value}…")


def test_waiting_for_nothing_is_found_at_once() -> None:
    loop = VirtualLoop()
    with pytest.raises(Hanging):
        loop.run(loop.create_future())  # type: ignore[arg-type]  # awaitable all the same


# --- inputs ---


def test_input_survives_being_parted_and_joined() -> None:
    assert parted(joined({"a": 1}, b"1\n2")) == ({"a": 1}, b"1\n2")
    assert parted(b"no head\n1") == ({}, b"1")


def test_circumstance_that_no_list_knows_is_the_first() -> None:
    assert chosen({"dry": 1}, "dry", (False, True)) is False
    assert chosen({"dry": True}, "dry", (False, True)) is True
    assert chosen({}, "currency", ("EUR", None)) == "EUR"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["nosuch"], "there is no target nosuch"), (["--replay", "nosuch.json"], "there is no file nosuch.json")],
)
def test_wrong_usage_is_told_at_once(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert words in capsys.readouterr().err
