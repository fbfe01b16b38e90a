"""Restarts in small: `make soak ARGS=restarts` runs them at full size."""

import signal

import pytest

from tests.e2e.conftest import function_venv
from tests.soak.restarts import Scenario, run_scenario
from xcapi_core.sandbox.services.function_venv import FunctionVenv

__all__ = ["function_venv"]

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("instances", "ends_by"),
    [(1, signal.SIGTERM), (2, None), (1, signal.SIGKILL)],
    ids=["one instance, SIGTERM", "two instances", "one instance, kill -9"],
)
def test_what_is_settled_is_not_sent_again_by_another_instance(
    function_venv: FunctionVenv, instances: int, ends_by: signal.Signals | None
) -> None:
    scenario = Scenario(
        name="small", instances=instances, ends_by=ends_by, messages=6, events=50, down_s=9.0, every_s=3.0
    )
    outcome = run_scenario(function_venv, scenario)
    assert outcome.delivered == outcome.published
    assert outcome.dead_letters == 0
    # What kill -9 may repeat: the events of deliveries that are open at that moment.
    assert outcome.doubles <= (2 * scenario.events if ends_by is signal.SIGKILL else 0)
