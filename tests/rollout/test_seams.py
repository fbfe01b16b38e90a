"""The module beside what a project has already: its topic, its identities, its repository, its network, its builds."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.rollout.control_plane.plane import PROJECT, ControlPlane
from tests.rollout.rollout import REGION
from tests.rollout.workspace import MODULE, run_terraform
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

LOCATION = f"projects/{PROJECT}/locations/{REGION}"
TOPIC = f"projects/{PROJECT}/topics/events"
REPOSITORY = f"{LOCATION}/repositories/images"
CONNECTOR = f"{LOCATION}/connectors/shared"
POOL = f"{LOCATION}/workerPools/private"
ACCOUNTS = {duty: f"our-{duty}-account@{PROJECT}.iam.gserviceaccount.com" for duty in ("build", "push", "run")}
THERE: Mapping[str, Any] = {
    "google_pubsub_topic": {"events": {"project": PROJECT, "name": "events"}},
    "google_service_account": {
        duty: {"project": PROJECT, "account_id": address.partition("@")[0]} for duty, address in ACCOUNTS.items()
    },
    "google_artifact_registry_repository": {
        "images": {"project": PROJECT, "location": REGION, "repository_id": "images", "format": "DOCKER"}
    },
}


def apply(folder: Path, root: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Apply a root; a plan that would change something after it is an error."""
    folder.mkdir()
    (folder / "main.tf.json").write_text(json.dumps(root), encoding="utf-8")
    run_terraform(folder, "init", "-input=false", environment=environment)
    run_terraform(folder, "apply", "-auto-approve", "-input=false", "-no-color", environment=environment)
    run_terraform(folder, "plan", "-detailed-exitcode", "-input=false", "-no-color", environment=environment)


def test_what_is_there_is_used_and_granted_what_it_needs(
    emulator: PubsubEmulator, tmp_path: Path, terraform_environment: Mapping[str, str], archive: Path
) -> None:
    module = {
        "source": os.path.relpath(MODULE, tmp_path / "here"),
        "source_archive": str(archive),
        "project_id": PROJECT,
        "region": REGION,
        "pixels": {"o8z6j": {"event_ids": {"purchase": "tw-o8z6j-o8z21"}}},
        "publishers": ["group:shop@example.com"],
        "existing": {
            "topic": TOPIC,
            "artifact_repository": REPOSITORY,
            **{f"{duty}_service_account": address for duty, address in ACCOUNTS.items()},
        },
        "network": {"vpc_connector": CONNECTOR, "egress": "ALL_TRAFFIC"},
        "build": {"worker_pool": POOL, "binary_authorization": "default"},
    }
    with ControlPlane(emulator, repository_root() / ".cache") as plane:
        environment = {**terraform_environment, **plane.environment}
        apply(tmp_path / "there", {"resource": THERE}, environment)
        made_before = {one.member for one in plane.iam.bindings}
        apply(tmp_path / "here", {"module": {"x_conversions": module}}, environment)

        assert made_before == set()
        assert TOPIC in plane.pubsub.topics
        assert not any(name.endswith("/topics/x-conversions") for name in plane.pubsub.topics)
        (pushing,) = [one for name, one in plane.pubsub.subscriptions.items() if name.endswith("/x-conversions")]
        assert pushing["topic"] == TOPIC
        assert pushing["pushConfig"]["oidcToken"]["serviceAccountEmail"] == ACCOUNTS["push"]

        (function,) = plane.functions.functions.values()
        build, service = function["buildConfig"], function["serviceConfig"]
        assert build["serviceAccount"] == f"projects/{PROJECT}/serviceAccounts/{ACCOUNTS['build']}"
        assert build["dockerRepository"] == REPOSITORY
        assert build["workerPool"] == POOL
        assert service["serviceAccountEmail"] == ACCOUNTS["run"]
        assert (service["vpcConnector"], service["vpcConnectorEgressSettings"]) == (CONNECTOR, "ALL_TRAFFIC")
        assert service["binaryAuthorizationPolicy"] == "default"

        granted = {one.member for one in plane.iam.bindings}
        assert granted >= {f"serviceAccount:{address}" for address in ACCOUNTS.values()} | {"group:shop@example.com"}
        # The build and the start needed their grants, and had them.
        assert all(call.allowed for call in plane.iam.calls)
        plane.publish("group:shop@example.com", TOPIC, b"{}")
