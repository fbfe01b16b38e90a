"""The function runs with requirements.txt and nothing else."""

import json
import re
import subprocess

from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_venv import FunctionVenv

_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*])?==", re.MULTILINE)
# A virtual environment's own; Python 3.11 still brings the second one along.
_BROUGHT_ALONG = {"pip", "setuptools"}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pip(venv: FunctionVenv, *command: str) -> str:
    python = str(venv.scripts / "python")
    return subprocess.run([python, "-m", "pip", *command], capture_output=True, text=True, check=True).stdout


def test_environment_holds_nothing_but_the_requirements(function_venv: FunctionVenv) -> None:
    pinned = set(map(normalised, _PINNED.findall((repository_root() / "requirements.txt").read_text())))
    installed = {normalised(package["name"]) for package in json.loads(pip(function_venv, "list", "--format=json"))}
    assert installed - _BROUGHT_ALONG <= pinned
    assert {"functions-framework", "google-cloud-pubsub", "requests-oauthlib"} <= installed


def test_every_package_finds_what_it_depends_on(function_venv: FunctionVenv) -> None:
    assert "No broken requirements" in pip(function_venv, "check")
