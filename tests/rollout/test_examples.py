"""The examples that need nothing but what the local APIs have, applied as their READMEs say; the others are planned."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.rollout.control_plane.plane import PROJECT, ControlPlane
from tests.rollout.workspace import copy_of_the_repository, run_terraform, use_archive
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator


@pytest.mark.parametrize(
    ("example", "functions"),
    [
        ("cloud-storage-files", {"x-conversions"}),
        ("two-environments", {"x-conversions", "x-conversions-staging"}),
    ],
)
def test_example_applies_and_a_second_plan_is_empty(
    example: str,
    functions: set[str],
    *,
    emulator: PubsubEmulator,
    tmp_path: Path,
    terraform_environment: Mapping[str, str],
    archive: Path,
) -> None:
    folder = copy_of_the_repository(tmp_path / "repository") / "terraform" / "examples" / example
    use_archive(folder, archive)
    (folder / "terraform.tfvars.json").write_text(json.dumps({"project_id": PROJECT}), encoding="utf-8")
    with ControlPlane(emulator, repository_root() / ".cache") as plane:
        environment = {**terraform_environment, **plane.environment}
        run_terraform(folder, "init", "-input=false", environment=environment)
        run_terraform(folder, "apply", "-auto-approve", "-input=false", "-no-color", environment=environment)
        run_terraform(folder, "plan", "-detailed-exitcode", "-input=false", "-no-color", environment=environment)
        assert {name.rpartition("/")[2] for name in plane.functions.functions} == functions
        pushing = {one["topic"] for one in plane.pubsub.subscriptions.values() if "pushConfig" in one}
        assert pushing <= set(plane.pubsub.topics)
        assert all(call.allowed for call in plane.iam.calls)
