"""Leaving in order when told to: what was started is ended on the way out, however often one is told."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from xcapi_core.sandbox.services.processes import ChildProcess, leaving_on_signals

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def be_told(number: signal.Signals) -> None:
    with leaving_on_signals():
        os.kill(os.getpid(), number)
        time.sleep(60)  # the signal interrupts it


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_unwinds_and_gives_the_exit_code_that_shells_know(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as left:
        be_told(number)
    assert left.value.code == 128 + number


def test_a_second_signal_does_not_interrupt_the_clean_up_that_the_first_began() -> None:
    cleaned_up = []

    def be_told_twice() -> None:
        with leaving_on_signals():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(60)
            finally:
                for number in SIGNALS:
                    os.kill(os.getpid(), number)
                cleaned_up.append("all")

    with pytest.raises(SystemExit) as left:
        be_told_twice()
    assert left.value.code == 128 + signal.SIGTERM
    assert cleaned_up == ["all"]


def test_nothing_is_left_behind_where_the_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not care for SIGTERM, and somebody who presses Ctrl-C again."""
    command = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print(1); time.sleep(99)"]
    process = ChildProcess(command, environment={"PYTHONUNBUFFERED": "1"})
    assert process.wait_until(lambda: process.lines == ["1"], timeout_s=60)
    send = process.send

    def press_again(number: signal.Signals) -> None:
        send(number)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    monkeypatch.setattr(process, "send", press_again)
    with pytest.raises(KeyboardInterrupt):
        process.stop(grace_s=60)
    assert process.wait() == -signal.SIGKILL


def test_a_killed_starter_takes_its_children_and_theirs_along(tmp_path: Path) -> None:
    """SIGKILL leaves nobody time to clean up; the FIFO ends with the last who holds it, here a child's child."""
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    child = f"import subprocess; subprocess.run(['sh', '-c', 'echo up; sleep 60'], stdout=open({str(fifo)!r}, 'w'))"
    starter = f"""
from xcapi_core.sandbox.services.processes import ChildProcess
ChildProcess([{sys.executable!r}, "-c", {child!r}], environment={{"PATH": "/usr/bin:/bin"}}).wait()
"""
    with subprocess.Popen([sys.executable, "-c", starter]) as process, fifo.open() as held:
        assert held.readline() == "up\n"
        process.kill()
        began = time.monotonic()
        assert not held.read()
    assert time.monotonic() - began < 50, "the child came to its own end"


def test_nothing_of_a_child_that_has_ended_stays() -> None:
    process = ChildProcess(["sh", "-c", "exit 3"], environment={"PATH": "/usr/bin:/bin"})
    assert process.wait() == 3
    deadline = time.monotonic() + 30
    while (held := members(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not held


def members(group: int) -> list[int]:
    """Return who runs in a group of processes; Linux's /proc, elsewhere none."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(status.parent.name))
    return found


def test_what_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        ChildProcess(["no-such-program"], environment={"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize("number", SIGNALS)
def test_afterwards_signals_mean_what_they_meant_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with leaving_on_signals():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before
