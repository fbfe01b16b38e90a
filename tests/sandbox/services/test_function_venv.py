"""FunctionVenv: what happens when it cannot be made is said in one sentence each."""

import os
import socket
import sys
from pathlib import Path

import pytest

from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_venv import FunctionVenv, InstallStep

UNAVAILABLE = "six==1.0 --hash=sha256:" + "0" * 64 + "\n"


def script(folder: Path, *lines: str) -> str:
    """Make a stand-in for Python."""
    path = folder / "python"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def willing(folder: Path) -> str:
    """Make a stand-in whose venv module and pip do nothing, quickly."""
    nothing = "printf '#!/bin/sh\\n' > \"$3/bin/python\""
    return script(folder, 'mkdir -p "$3/bin"', nothing, 'chmod +x "$3/bin/python"')


def test_empty_requirements_make_an_environment_once(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    steps: list[InstallStep] = []
    first = FunctionVenv.prepare(requirements, tmp_path / "cache", on_step=steps.append)
    assert os.access(first.scripts / "python", os.X_OK)
    assert steps
    steps.clear()
    assert FunctionVenv.prepare(requirements, tmp_path / "cache", on_step=steps.append) == first
    assert steps == []


def test_changed_requirements_make_another_environment(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    python = willing(tmp_path)
    first = FunctionVenv.prepare(requirements, tmp_path / "cache", python=python)
    requirements.write_text("# nothing, differently\n")
    assert FunctionVenv.prepare(requirements, tmp_path / "cache", python=python) != first


def test_interrupted_environment_is_made_anew(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    python = willing(tmp_path)
    made = FunctionVenv.prepare(requirements, tmp_path / "cache", python=python)
    (made.folder / ".finished").unlink()
    (made.folder / "half-installed").touch()
    assert FunctionVenv.prepare(requirements, tmp_path / "cache", python=python) == made
    assert not (made.folder / "half-installed").exists()


def test_missing_venv_module_names_the_package_to_install(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    python = script(
        tmp_path, "echo 'The virtual environment was not created because ensurepip is not available.'", "exit 1"
    )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(LocalServiceError, match=rf"no venv module.*apt install python{version}-venv"):
        FunctionVenv.prepare(requirements, tmp_path / "cache", python=python)


def test_unreachable_index_says_to_check_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:  # bound, not listening: every connection is refused
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}/simple")
        monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
        requirements = tmp_path / "requirements.txt"
        requirements.write_text(UNAVAILABLE)
        with pytest.raises(LocalServiceError, match="could not reach its package index: check the network"):
            FunctionVenv.prepare(requirements, tmp_path / "cache")


def test_full_disk_says_how_much_is_needed(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    python = script(tmp_path, "echo 'Error: [Errno 28] No space left on device'", "exit 1")
    with pytest.raises(LocalServiceError, match="disk is full: free some space"):
        FunctionVenv.prepare(requirements, tmp_path / "cache", python=python)


def test_any_other_failure_ends_with_the_tools_last_error(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("")
    python = script(tmp_path, "echo 'ERROR: something nobody thought of'", "exit 3")
    with pytest.raises(LocalServiceError, match=r"could not be made: ERROR: something nobody thought of$"):
        FunctionVenv.prepare(requirements, tmp_path / "cache", python=python)
