"""The hardened example rolled out: each service encrypts under an account of its own, and may."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.rollout.control_plane.plane import PROJECT, ControlPlane
from tests.rollout.workspace import copy_of_the_repository, run_terraform
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

KEY = f"projects/{PROJECT}/locations/europe-west1/keyRings/ring/cryptoKeys/key"
AGENTS = (
    "gcf-admin-robot",
    "gcp-sa-artifactregistry",
    "gcp-sa-pubsub",
    "gcp-sa-secretmanager",
    "gs-project-accounts",
    "serverless-robot-prod",
)


def test_a_key_of_ones_own_encrypts_everything_and_each_agent_may_use_it(
    emulator: PubsubEmulator, tmp_path: Path, terraform_environment: Mapping[str, str]
) -> None:
    example = copy_of_the_repository(tmp_path / "repository") / "terraform" / "examples" / "hardened"
    variables = {"project_id": PROJECT, "kms_key_name": KEY}
    (example / "terraform.tfvars.json").write_text(json.dumps(variables))
    with ControlPlane(emulator, repository_root() / ".cache") as plane:
        plane.kms.add_key(KEY)
        environment = {**terraform_environment, **plane.environment}
        run_terraform(example, "init", "-input=false", environment=environment)
        run_terraform(example, "apply", "-auto-approve", "-input=false", "-no-color", environment=environment)
        # -detailed-exitcode: a plan that would change something is an error here.
        run_terraform(example, "plan", "-detailed-exitcode", "-input=false", "-no-color", environment=environment)

        encrypting = "cloudkms.cryptoKeyVersions.useToEncrypt"
        using = {call.member for call in plane.iam.calls if call.permission == encrypting}
        assert using == {plane.agent(agent) for agent in AGENTS}
        granted = {one.member for one in plane.iam.bindings if one.resource == KEY}
        assert granted == using
        assert all(call.allowed for call in plane.iam.calls)
        assert all(topic["kmsKeyName"] == KEY for topic in plane.pubsub.topics.values())

        (revision,) = plane.functions.revisions
        assert revision["minInstanceCount"] == 1
        assert revision["ingressSettings"] == "ALLOW_INTERNAL_ONLY"
        configuration = json.loads(revision["environmentVariables"]["XCAPI_CONFIG"])
        assert configuration["on_unauthorized"] == "requeue"
        assert configuration["rate"]["events"] == 30_000, "two instances, half the budget each"
