"""What goes wrong between two applies, and that the next one mends it: replaced resources, late grants, another key."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import oauth_payload
from tests.e2e.push import event, new_id
from tests.e2e.stack import wait_for
from tests.rollout.control_plane.plane import PROJECT
from tests.rollout.rollout import EXISTING_SECRET, Rollout, rolled_out
from tests.rollout.workspace import TerraformError
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

NAME = "x-conversions"
RUN = f"{NAME}-run@{PROJECT}.iam.gserviceaccount.com"
SECRET = f"projects/{PROJECT}/secrets/{NAME}-o8z6j"
RING = f"projects/{PROJECT}/locations/europe-west1/keyRings/ring"
OLD_KEY, NEW_KEY = f"{RING}/cryptoKeys/old", f"{RING}/cryptoKeys/new"
# Events that wait for as long as an apply takes must not be given up meanwhile.
PATIENT = {"ack_deadline_s": 28, "max_delivery_attempts": 100, "min_backoff_s": 1, "max_backoff_s": 1}

# What holds a policy, or is a member of one, in groups of which no member replaces another along with itself.
REPLACED = (
    ("google_pubsub_topic.events[0]", "google_pubsub_topic.dead_letters", "google_pubsub_topic.remainder"),
    (
        "google_artifact_registry_repository.images[0]",
        "google_cloudfunctions2_function.main",
        "google_pubsub_subscription.dead_letters",
        "google_pubsub_subscription.events",
        "google_pubsub_subscription.remainder",
        'google_secret_manager_secret.keys["o8z6j"]',
        "google_storage_bucket.source[0]",
    ),
    ("google_service_account.build[0]", "google_service_account.push[0]", "google_service_account.run[0]"),
)


def test_a_failed_first_build_late_grants_and_late_agents_converge(
    emulator: PubsubEmulator, tmp_path: Path, terraform_environment: Mapping[str, str], archive: Path
) -> None:
    with rolled_out(emulator, tmp_path, terraform_environment, apply=False, source_archive=str(archive)) as rollout:
        rollout.plane.missing_agents.add(rollout.plane.agent("gcp-sa-pubsub"))
        rollout.plane.iam.delays_grants = True
        with pytest.raises(TerraformError) as failed:
            rollout.workspace.apply()
        assert "Permission 'storage.objects.get' denied" in str(failed.value)
        assert "gcp-sa-pubsub.iam.gserviceaccount.com does not exist" in str(failed.value)
        (function,) = rollout.plane.functions.functions.values()
        assert function["state"] == "FAILED"
        assert rollout.plane.functions.instances == {}
        assert rollout.workspace.plan().actions["google_cloudfunctions2_function.main"] == ("delete", "create"), (
            "tainted"
        )

        rollout.plane.missing_agents.clear()
        rollout.plane.iam.delays_grants = False
        rollout.plane.iam.late.clear()
        rollout.workspace.apply()
        assert rollout.workspace.plan().actions == {}
        (function,) = rollout.plane.functions.functions.values()
        assert function["state"] == "ACTIVE"
        rollout.plane.payloads[SECRET] = [oauth_payload()]
        late = event()
        rollout.publish(late)
        rollout.wait_for_accepted(str(late["conversion_id"]))


def test_another_key_reads_what_the_one_before_it_wrote(
    emulator: PubsubEmulator, tmp_path: Path, terraform_environment: Mapping[str, str], archive: Path
) -> None:
    keys = (OLD_KEY, NEW_KEY)
    variables: dict[str, Any] = {"kms_key_name": OLD_KEY, "delivery": PATIENT, "source_archive": str(archive)}
    with rolled_out(emulator, tmp_path, terraform_environment, keys=keys, **variables) as rollout:
        rollout.shell(f"gcloud secrets versions add {NAME}-o8z6j --data-file=keys.json", tmp_path)
        rollout.sandbox.inject({"status": 503})
        waiting = new_id()
        rollout.publish(event(conversion_id=waiting))
        images = "google_artifact_registry_repository.images[0]"

        rollout.workspace.set(kms_key_name=NEW_KEY, previous_kms_key_names=[OLD_KEY])
        plan = rollout.workspace.plan()
        replaced = {address for address, actions in plan.actions.items() if "delete" in actions}
        assert replaced == {
            images,
            "google_artifact_registry_repository_iam_member.build",
            'terraform_data.generation["artifact_repository"]',
        }, "its key is the repository's for life, and nothing else is lost"
        rollout.workspace.apply()
        assert rollout.workspace.plan().actions == {}
        rollout.sandbox.clear_faults()
        rollout.wait_for_accepted(waiting, timeout_s=60)

        # The old key is let go while its secret version is in use still: Secret Manager cannot read it.
        rollout.workspace.set(previous_kms_key_names=[])
        rollout.workspace.apply()
        with pytest.raises(Exception, match=r"cryptoKeyVersions.useToDecrypt. denied"):
            rollout.read_secret(RUN, SECRET)
        rollout.shell(f"gcloud secrets versions add {NAME}-o8z6j --data-file=keys.json", tmp_path)
        assert rollout.read_secret(RUN, SECRET) == oauth_payload(), "a version that is written under the new key"


def test_an_upgrade_loses_and_replaces_nothing_that_holds_data(
    emulator: PubsubEmulator, tmp_path: Path, terraform_environment: Mapping[str, str], archive: Path
) -> None:
    """From the module as it was before remainders, with events waiting that the runbook's command holds back."""
    with rolled_out(emulator, tmp_path, terraform_environment, module_of="14fd8c4") as rollout:
        rollout.plane.payloads[SECRET] = [oauth_payload()]
        # Not by letting them fail: the emulator soon gives up on several messages that do.
        rollout.shell(f'gcloud pubsub subscriptions update {NAME} --push-endpoint=""', tmp_path)
        waiting = {new_id() for _ in range(20)}
        for one in waiting:
            rollout.publish(event(conversion_id=one))

        rollout.use_this_module()
        rollout.workspace.set(source_archive=str(archive))
        plan = rollout.workspace.plan()
        gone = {address for address, actions in plan.actions.items() if "delete" in actions}
        assert gone - {"google_storage_bucket_object.source[0]"} == {
            'google_logging_metric.main["keys_refused"]',
            'google_project_iam_member.build["roles/storage.objectViewer"]',
        }, "docs/upgrading.md names both, and neither holds data; another source is another object"
        rollout.workspace.apply()
        assert rollout.workspace.plan().actions == {}
        wait_for(lambda: waiting <= set(rollout.accepted()), timeout_s=60)
        assert rollout.collect() == []
        assert json.loads(rollout.workspace.outputs()["config"])["remainder_topic"]


# The tests below share a rollout, and stand last: two cannot live in one emulator.
@pytest.fixture(name="rollout", scope="module")
def unprotected(
    emulator: PubsubEmulator,
    tmp_path_factory: pytest.TempPathFactory,
    terraform_environment: Mapping[str, str],
    archive: Path,
) -> Iterator[Rollout]:
    folder = tmp_path_factory.mktemp("convergence")
    variables: dict[str, Any] = {"deletion_protection": False, "source_archive": str(archive)}
    with rolled_out(emulator, folder, terraform_environment, **variables) as rollout:
        yield rollout


def test_every_resource_with_a_policy_is_replaced_below(rollout: Rollout) -> None:
    holders = {one.resource for one in rollout.plane.iam.bindings} - {f"projects/{PROJECT}", EXISTING_SECRET}
    made = {address for group in REPLACED for address in group}
    # Three of them are accounts, and of those one holds a policy: who may make its tokens.
    assert len(made) == len(holders) + 2
    assert made <= set(rollout.workspace.addresses())


def test_an_update_replaces_no_binding(rollout: Rollout) -> None:
    rollout.workspace.set(labels={"team": "marketing"})
    try:
        actions = rollout.workspace.plan().actions
    finally:
        rollout.workspace.set(labels={})
    assert "google_cloudfunctions2_function.main" in actions
    assert {one for one in actions.values() if one != ("update",)} == set()
    assert not any("_iam_member" in address for address in actions)


@pytest.mark.parametrize("group", REPLACED, ids=["topics", "what is bound to", "accounts"])
def test_a_replaced_resource_comes_back_with_its_grants(rollout: Rollout, group: tuple[str, ...]) -> None:
    before = rollout.plane.iam.bindings
    for address in group:
        rollout.workspace.taint(address)
    rollout.workspace.apply()
    assert rollout.plane.iam.bindings == before
    assert rollout.workspace.plan().actions == {}
    rollout.plane.payloads[SECRET] = [oauth_payload()]
    late = event()
    rollout.publish(late)
    rollout.wait_for_accepted(str(late["conversion_id"]))
