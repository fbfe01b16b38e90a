"""What the rollout's tests run on: Terraform with the real providers, and a control plane to apply to."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.services import emulator, unavailable
from xcapi_core.sandbox.services.checkout import repository_root

__all__ = ["Tool", "emulator", "prepared"]

Tool = Callable[[str], str]
_TOOLS = repository_root() / "tools" / "rollout_tools.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, and give an apply its time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.rollout)
            item.add_marker(pytest.mark.e2e)  # so that `-m "not e2e"` leaves these out as well
            item.add_marker(pytest.mark.timeout(900))


def prepared(*names: str) -> Mapping[str, str]:
    """Return the environment in which these tools are found; what is missing is skipped, or fails in CI."""
    if shutil.which("terraform") is None:
        unavailable("Terraform is not on this machine")
    command = [sys.executable, str(_TOOLS), "--installed", "--only", *names]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        unavailable(told.stderr.strip())
    environment: dict[str, str] = json.loads(told.stdout)
    return environment


@pytest.fixture(scope="session")
def terraform_environment() -> Mapping[str, str]:
    """Give the environment in which Terraform finds the real providers."""
    return prepared("providers")


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zip what runs of the checkout, for tests that are not about how the module packs it."""
    root = repository_root()
    files = [root / "main.py", root / "requirements.txt", *sorted((root / "xcapi_core").rglob("*.py"))]
    path = tmp_path_factory.mktemp("archive") / "x-conversions-0.0.0.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in files:
            packed.write(file, file.relative_to(root))
    return path


@pytest.fixture(scope="session")
def tool() -> Tool:
    """Find tflint, terraform-docs, checkov or promql."""

    def find(name: str) -> str:
        found = shutil.which(name, path=prepared(name)["PATH"])
        assert found
        return found

    return find
