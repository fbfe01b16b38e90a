"""Every binding of the module and its examples follows what it binds through a replacement."""

import re

from tests.rollout.workspace import MODULE
from xcapi_core.sandbox.services.checkout import repository_root

# Keys of KMS are never ours to replace.
OF_OTHERS = {"google_kms_crypto_key_iam_member.agents"}
# Who may set each policy, by Google's "IAM roles and permissions index": an Editor may set none of them.
ADMINS = {
    "google_artifact_registry_repository_iam_member": "Artifact Registry Admin",
    "google_cloud_run_v2_service_iam_member": "Cloud Run Admin",
    "google_kms_crypto_key_iam_member": "Cloud KMS Admin",
    "google_project_iam_member": "Project IAM Admin",
    "google_pubsub_subscription_iam_member": "Pub/Sub Admin",
    "google_pubsub_topic_iam_member": "Pub/Sub Admin",
    "google_secret_manager_secret_iam_member": "Secret Manager Admin",
    "google_service_account_iam_member": "Service Account Admin",
    "google_storage_bucket_iam_member": "Storage Admin",
}


def test_every_binding_is_replaced_along_with_what_it_binds() -> None:
    """test_convergence.py shows it of the module's; that each has it, the examples' included, is seen here."""
    resources = [
        (f"{kind}.{name}", block)
        for file in MODULE.rglob("*.tf")
        for kind, name, block in re.findall(
            r'(?ms)^resource "(\w+_iam_\w+)" "(\w+)" \{\n(.*?)^\}', file.read_text(encoding="utf-8")
        )
    ]
    assert len(resources) > 20
    assert {name for name, block in resources if "replace_triggered_by" not in block} == OF_OTHERS


def test_whoever_deploys_is_told_each_role_that_the_modules_grants_take() -> None:
    granted = {
        kind
        for file in MODULE.glob("*.tf")
        for kind in re.findall(r'(?m)^resource "(\w+_iam_\w+)"', file.read_text(encoding="utf-8"))
    }
    assert granted == set(ADMINS)
    page = " ".join((repository_root() / "docs" / "deploy.md").read_text(encoding="utf-8").split())
    needed, _, later = page.partition("## Before you begin ")[2].partition("```sh")
    assert {role for role in ADMINS.values() if role not in needed} == {"Cloud KMS Admin"}, "only with a key"
    assert "you need Cloud KMS Admin on the key" in later
