"""Leaving in order when told to: what was started is ended on the way out."""

import os
import signal
import time

import pytest

from xcapi_core.sandbox.services.processes import leaving_on_signals

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


@pytest.mark.parametrize("number", SIGNALS)
def test_afterwards_signals_mean_what_they_meant_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with leaving_on_signals():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before
