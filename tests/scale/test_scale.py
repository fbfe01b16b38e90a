"""A small run, whole: instances that come and go, several accounts, and budgets that do not suffice at once."""

import json
import subprocess
import sys

import pytest

from tests.e2e.conftest import function_venv
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_venv import FunctionVenv

__all__ = ["function_venv"]

pytestmark = pytest.mark.e2e

SMALL = ("--events=2000", "--processes=3", "--pixels=20", "--accounts=4", "--budget=300", "--window=12")


def scale(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.scale", *options]
    return subprocess.run(command, cwd=repository_root(), capture_output=True, text=True, check=False)


def test_a_small_backlog_reaches_x_whole_within_each_accounts_budget(function_venv: FunctionVenv) -> None:
    assert function_venv.scripts.exists()  # made before the run's time counts
    done = scale(*SMALL, "--events-per-message=25", "--every=2", "--give-up=250", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)["outcome"]
    assert outcome["lost"] == outcome["dead_letters"] == 0
    assert outcome["doubles"] <= outcome["may_double"]
    assert 0 < outcome["most_in_a_window"] <= 300
    # The share of a pixel and instance is less than a message: the rest of it goes on as a remainder.
    assert outcome["remainders"] > 0
    assert outcome["instances_removed"] > 0


@pytest.mark.parametrize("options", [["--events=0"], ["--accounts=3", "--pixels=2"], ["--window=1"]])
def test_wrong_usage_is_told_from_a_failed_run(options: list[str]) -> None:
    assert scale(*options).returncode == 2
