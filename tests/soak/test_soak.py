"""A small soak, whole: every incident, the real function, and an account that balances."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import unavailable
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_venv import FunctionVenv

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session", autouse=True)
def _function_venv() -> None:
    """Make it before a test's time runs."""
    root = repository_root()
    try:
        FunctionVenv.prepare(root / "requirements.txt", root / ".cache")
    except LocalServiceError as error:
        unavailable(str(error))


def soak(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.soak", *options]
    return subprocess.run(command, cwd=repository_root(), capture_output=True, text=True, check=False)


def test_small_soak_balances(tmp_path: Path) -> None:
    done = soak("mix", "--events", "500", "--json", "--out", str(tmp_path))
    found = json.loads(done.stdout)["mix"]
    assert (done.returncode, found["problems"]) == (0, [])
    assert found["published"] == 500
    assert found["delivered"] + sum(found["dead_lettered"].values()) + found["skipped"] == 500
    assert len(found["incidents"]) == 6
    assert {"200", "429", "503"} <= set(found["x_answers"])
    assert {path.name for path in tmp_path.iterdir()} == {"soak.json", "memory.svg", "waits.svg", "mix.log"}


@pytest.mark.parametrize("options", [["--events", "0"], ["both"], ["--overload-seconds", "5"]])
def test_wrong_usage_is_told_from_a_failed_soak(options: list[str]) -> None:
    assert soak(*options).returncode == 2


def test_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = soak("overload", "--out", str(tmp_path / "file" / "out"))
    assert done.returncode == 2
    assert "Invalid value for --out" in done.stderr
    assert "Traceback" not in done.stderr
