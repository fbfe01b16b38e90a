"""A release is all that a deployment needs: module and function come out of one zip, in a bucket or beside it."""

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests

from tests.release import make_release
from tests.rollout.control_plane.plane import PROJECT, ControlPlane
from tests.rollout.rollout import REGION
from tests.rollout.workspace import MODULE, Workspace, run_terraform
from xcapi_core import __version__
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

PIXELS = {"o8z6j": {"event_ids": {"purchase": "tw-o8z6j-o8z21"}}}
OBJECT = f"x/x-conversions-{__version__}.zip"
PLANNED = f"""
mock_provider "google" {{
  source = "./tests/mocks"
}}

run "its_own_source_is_packed" {{
  command = plan

  variables {{
    project_id = "test-project"
    region     = "{REGION}"
    pixels     = {{ o8z6j = {{}} }}
  }}

  assert {{
    condition     = google_cloudfunctions2_function.main.labels.version == "{__version__.replace(".", "-")}"
    error_message = "the version of the source"
  }}
}}
"""


@pytest.fixture(name="release", scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(name="unpacked", scope="module")
def extracted(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(release) as archive:
        archive.extractall(folder)
    return folder


def write_root(folder: Path, source: str, archive: str) -> Path:
    folder.mkdir()
    module = {"source": source, "source_archive": archive, "project_id": PROJECT, "region": REGION, "pixels": PIXELS}
    root = {"module": {"x_conversions": {**module, "deletion_protection": False}}}
    (folder / "main.tf.json").write_text(json.dumps(root))
    return folder


def test_planned_on_one_machine_and_applied_on_another_with_nothing_but_the_zip(
    emulator: PubsubEmulator, release: Path, tmp_path: Path, terraform_environment: Mapping[str, str]
) -> None:
    with ControlPlane(emulator, repository_root() / ".cache") as plane:
        environment = {**terraform_environment, **plane.environment}
        # Somebody's bucket of releases. Terraform fetches the module out of a zip, as it does from gs:// and https://.
        plane.storage.buckets["releases"] = {"kind": "storage#bucket", "id": "releases", "name": "releases"}
        plane.storage.objects["releases", OBJECT] = {"name": OBJECT}, release.read_bytes()
        source, archive = f"file://{release}//terraform", f"gs://releases/{OBJECT}"
        one = write_root(tmp_path / "one", source, archive)
        run_terraform(one, "init", "-input=false", environment=environment)
        run_terraform(one, "plan", "-input=false", "-out=plan", environment=environment)
        other = write_root(tmp_path / "other", source, archive)
        shutil.move(one / "plan", other / "plan")
        shutil.rmtree(one)
        run_terraform(other, "init", "-input=false", environment=environment)
        run_terraform(other, "apply", "-input=false", "plan", environment=environment)

        (function,) = plane.functions.functions.values()
        assert function["labels"]["version"] == __version__.replace(".", "-")
        (instance,) = plane.functions.instances.values()
        assert requests.get(instance.url, timeout=60).json()["version"] == __version__
        assert set(plane.storage.buckets) == {"releases"}
        run_terraform(other, "destroy", "-auto-approve", "-input=false", environment=environment)
        assert ("releases", OBJECT) in plane.storage.objects


def test_the_zip_beside_it_is_uploaded_as_it_is_and_found_again_by_its_content(
    emulator: PubsubEmulator, release: Path, unpacked: Path, tmp_path: Path, terraform_environment: Mapping[str, str]
) -> None:
    with ControlPlane(emulator, repository_root() / ".cache") as plane:
        workspace = Workspace(
            tmp_path,
            unpacked / "terraform",
            {**terraform_environment, **plane.environment},
            project_id=PROJECT,
            region=REGION,
            pixels=PIXELS,
            source_archive=str(release),
        )
        workspace.apply()
        assert [content for _, content in plane.storage.objects.values()] == [release.read_bytes()]
        elsewhere = tmp_path / "elsewhere" / release.name
        elsewhere.parent.mkdir()
        shutil.copy(release, elsewhere)
        workspace.set(source_archive=str(elsewhere))
        assert "google_cloudfunctions2_function.main" not in workspace.plan().actions


def test_an_unpacked_release_is_planned_as_a_checkout_is(
    unpacked: Path, terraform_environment: Mapping[str, str]
) -> None:
    module = unpacked / "terraform"
    shutil.copytree(MODULE / "tests" / "mocks", module / "tests" / "mocks")
    (module / "tests" / "release.tftest.hcl").write_text(PLANNED)
    run_terraform(module, "init", "-backend=false", "-input=false", environment=terraform_environment)
    told = run_terraform(module, "test", "-no-color", environment=terraform_environment)
    assert "1 passed, 0 failed" in told
