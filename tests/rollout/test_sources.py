"""The examples whose sources are other products: Tag Manager's container on Cloud Run, a query of BigQuery."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.rollout.control_plane.plane import PROJECT, ControlPlane
from tests.rollout.workspace import copy_of_the_repository, run_terraform, use_archive
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator


class Example:
    """An example in a copy of the repository, with the APIs that it is applied to."""

    def __init__(self, name: str, folder: Path, plane: ControlPlane, archive: Path, tools: Mapping[str, str]) -> None:
        self._folder = copy_of_the_repository(folder / "repository") / "terraform" / "examples" / name
        use_archive(self._folder, archive)
        self._environment = {**tools, **plane.environment}
        self._run("init", "-input=false")

    def apply(self, **variables: str) -> dict[str, str]:
        """Apply, and return the outputs."""
        (self._folder / "terraform.tfvars.json").write_text(json.dumps({"project_id": PROJECT, **variables}))
        self._run("apply", "-auto-approve", "-input=false", "-no-color")
        return {name: one["value"] for name, one in json.loads(self._run("output", "-json")).items()}

    def plan(self) -> None:
        """Plan; that something would change is an error."""
        self._run("plan", "-detailed-exitcode", "-input=false", "-no-color")

    def _run(self, *arguments: str) -> str:
        return run_terraform(self._folder, *arguments, environment=self._environment)


def test_tag_managers_container_may_publish_and_learns_where_its_preview_is(
    emulator: PubsubEmulator, tmp_path: Path, terraform_environment: Mapping[str, str], archive: Path
) -> None:
    with ControlPlane(emulator, repository_root() / ".cache") as plane:
        example = Example("sgtm", tmp_path, plane, archive, terraform_environment)
        outputs = example.apply(container_config="aWQ9R1RNLVhYWFg=")
        outputs = example.apply(container_config="aWQ9R1RNLVhYWFg=", preview_server_url=outputs["preview_url"])
        example.plan()
        tagging = plane.documents.all[f"projects/{PROJECT}/locations/europe-west1/services/sgtm-tagging"]
        (container,) = tagging["template"]["containers"]
        environment = {one["name"]: one.get("value", "") for one in container["env"]}
        assert environment["PREVIEW_SERVER_URL"] == outputs["preview_url"]
        plane.publish(f"serviceAccount:{tagging['template']['serviceAccount']}", outputs["topic"], b"{}")
        assert plane.unknown == []


def test_a_scheduled_query_writes_where_the_topic_reads(
    emulator: PubsubEmulator, tmp_path: Path, terraform_environment: Mapping[str, str], archive: Path
) -> None:
    with ControlPlane(emulator, repository_root() / ".cache") as plane:
        dataset = f"projects/{PROJECT}/datasets/shop"
        owner = {"role": "OWNER", "specialGroup": "projectOwners"}
        plane.datasets.all[dataset] = {"id": f"{PROJECT}:shop", "etag": "e1", "access": [owner]}
        example = Example("bigquery-export", tmp_path, plane, archive, terraform_environment)
        schedule = example.apply()["schedule"]
        example.plan()

        query = plane.documents.all[schedule]["params"]["query"]
        topic = plane.pubsub.topics[f"projects/{PROJECT}/topics/x-conversions-rows"]
        source = topic["ingestionDataSourceSettings"]["cloudStorage"]
        assert f"gs://{source['bucket']}/conversions/" in query
        assert f"`{PROJECT}.shop.orders`" in query
        account = f"x-conversions-export@{PROJECT}.iam.gserviceaccount.com"
        assert owner in plane.datasets.all[dataset]["access"], "whoever had access before keeps it"
        assert {"role": "READER", "userByEmail": account} in plane.datasets.all[dataset]["access"]
        plane.iam.require(f"serviceAccount:{account}", "bigquery.jobs.create", f"projects/{PROJECT}")
        written = f"projects/_/buckets/{source['bucket']}/objects/conversions/1.json"
        plane.iam.require(f"serviceAccount:{account}", "storage.objects.create", written)
        plane.iam.require(plane.agent("gcp-sa-pubsub"), "storage.objects.get", written)
        assert plane.unknown == []
