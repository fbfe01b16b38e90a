"""A root module in a folder of its own that calls ours, and Terraform run on it."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xcapi_core.sandbox.services.checkout import repository_root

__all__ = [
    "DEPLOYED_WITH",
    "MODULE",
    "Plan",
    "TerraformError",
    "Workspace",
    "copy_of_the_repository",
    "run_terraform",
    "use_archive",
]

MODULE = repository_root() / "terraform"
# What a deployment takes from a checkout: the module, the function's source, the runbook that alerts quote.
DEPLOYED_WITH = ("terraform", "main.py", "requirements.txt", "xcapi_core", "docs")
_TIMEOUT_S = 300


class TerraformError(Exception):
    """Terraform refused or failed; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would change: addresses by action, and which top-level attributes of each."""

    actions: Mapping[str, tuple[str, ...]]
    changed: Mapping[str, frozenset[str]]

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self.actions


def copy_of_the_repository(folder: Path) -> Path:
    """Copy what a deployment takes, so that a test may change it, and return the copy."""
    for name in DEPLOYED_WITH:
        source = repository_root() / name
        if source.is_dir():
            ignored = shutil.ignore_patterns(".terraform*", "__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder / name)
    return folder


def use_archive(folder: Path, archive: Path) -> None:
    """Have each module that a root calls take its source from a zip: packing a checkout is 80 % of a plan's work."""
    called = {
        name for file in folder.glob("*.tf") for name in re.findall(r'(?m)^module "(\w+)"', file.read_text("utf-8"))
    }
    override = {"module": {name: {"source_archive": str(archive)} for name in sorted(called)}}
    (folder / "archive_override.tf.json").write_text(json.dumps(override), encoding="utf-8")


def run_terraform(folder: Path, *arguments: str, environment: Mapping[str, str]) -> str:
    """Run a command and return its standard output. Raises TerraformError with all it said."""
    done = _run_terraform(folder, *arguments, environment=environment)
    if done.returncode:
        raise TerraformError(done.stdout + done.stderr)
    return done.stdout


def _run_terraform(folder: Path, *arguments: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    # A quarter of what Terraform and its providers do in such short runs is collecting garbage.
    fixed = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_ARGS": "", "GOGC": "400"}
    return subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env={**os.environ, **environment, **fixed},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


class Workspace:
    """One state: `set` the variables, then `apply`, `plan`, `destroy`."""

    def __init__(self, folder: Path, module: Path, environment: Mapping[str, str], **variables: Any) -> None:
        """Begin in `folder`; `module` is the folder of the module's files, in a checkout or a copy of one."""
        self._folder = folder
        self._module = module
        self._environment = environment
        self.variables: dict[str, Any] = {}
        self.set(**variables)
        self._run("init", "-input=false")

    def set(self, **variables: Any) -> None:
        """Change variables of the module; the others stay."""
        self.variables |= variables
        # Relative, since Terraform copies what an absolute path names, and `..` would not be there.
        source = os.path.relpath(self._module, self._folder)
        outputs = (self._module / "outputs.tf").read_text(encoding="utf-8").split('output "')[1:]
        names = [text.partition('"')[0] for text in outputs]
        root = {
            "module": {"x_conversions": {"source": source, **self.variables}},
            "output": {name: {"value": f"${{module.x_conversions.{name}}}"} for name in names},
        }
        (self._folder / "main.tf.json").write_text(json.dumps(root), encoding="utf-8")

    def apply(self) -> None:
        """Apply."""
        self._run("apply", "-auto-approve", "-input=false")

    def taint(self, address: str) -> None:
        """Have the next apply replace a resource of the module.

        Not `-replace`: of several of those Terraform forgets what it had to replace along (hashicorp/terraform#37831).
        """
        self._run("taint", f"module.x_conversions.{address}")

    def destroy(self) -> None:
        """Destroy everything in the state."""
        self._run("destroy", "-auto-approve", "-input=false")

    def plan(self) -> Plan:
        """Say what an apply would do, refreshing from the APIs first."""
        asked = ("plan", "-input=false", "-out=plan", "-detailed-exitcode", "-no-color")
        planned = _run_terraform(self._folder, *asked, environment=self._environment)
        if planned.returncode == 0:  # nothing would change
            return Plan({}, {})
        if planned.returncode == 1:
            raise TerraformError(planned.stdout + planned.stderr)
        shown = json.loads(self._run("show", "-json", "plan"))
        actions: dict[str, tuple[str, ...]] = {}
        changed: dict[str, frozenset[str]] = {}
        for change in shown.get("resource_changes", []):
            did = tuple(change["change"]["actions"])
            if did in {("no-op",), ("read",)}:
                continue
            address = change["address"].removeprefix("module.x_conversions.")
            before, after = change["change"]["before"] or {}, change["change"]["after"] or {}
            unknown = change["change"].get("after_unknown") or {}
            actions[address] = did
            changed[address] = frozenset(
                name
                for name in {*before, *after}
                if before.get(name) != after.get(name) and not (name not in after and unknown.get(name))
            )
        return Plan(actions, changed)

    def outputs(self) -> dict[str, Any]:
        """Return the module's outputs."""
        return {name: one["value"] for name, one in json.loads(self._run("output", "-json")).items()}

    def state(self) -> str:
        """Return the whole state as text."""
        return (self._folder / "terraform.tfstate").read_text(encoding="utf-8")

    def addresses(self) -> list[str]:
        """Return what the state holds, data sources left out."""
        lines = self._run("state", "list").splitlines()
        return [line.removeprefix("module.x_conversions.") for line in lines if ".data." not in line]

    def _run(self, *arguments: str) -> str:
        # `state list` alone does not know the option.
        plain = [] if arguments[0] == "state" else ["-no-color"]
        return run_terraform(self._folder, *arguments, *plain, environment=self._environment)
