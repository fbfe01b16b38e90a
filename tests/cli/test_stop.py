"""Being told to stop: by any thread, by any signal, even in the middle of being told."""

import subprocess
import sys
import threading
from types import FrameType

import pytest

from xcapi_core.cli.stop import Stop


def test_waiting_ends_when_told() -> None:
    stop = Stop()
    assert not stop.wait(0.01)
    threading.Timer(0.05, stop.tell).start()
    assert stop.wait(60)
    assert stop.is_told
    assert stop.wait(60), "it stays told"


def test_a_signal_at_any_point_of_another_one_does_no_harm() -> None:
    """The profiler's hook comes where Python would run a signal's handler: around every call."""
    stop = Stop()
    again: list[str] = []

    def interrupt(_frame: FrameType, event: str, _argument: object) -> None:
        again.append(event)
        stop.tell()

    def tell() -> None:
        sys.setprofile(interrupt)
        stop.tell()
        sys.setprofile(None)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert len(again) > 2
    assert stop.is_told


def test_ctrl_c_while_the_command_is_imported_is_no_traceback() -> None:
    code = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from xcapi_core.cli.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("before", "is_told"), [("SIG_DFL", True), ("SIG_IGN", False)])
def test_closed_terminal_ends_in_order_unless_nohup_is_before_it(before: str, is_told: bool) -> None:  # noqa: FBT001
    code = f"""
import os, signal
from xcapi_core.cli.stop import stopping
signal.signal(signal.SIGHUP, signal.{before})
with stopping() as stop:
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGHUP)
    print(stop.wait(60 if {is_told} else 0))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{is_told}\n", "")
