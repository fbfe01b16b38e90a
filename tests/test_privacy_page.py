"""docs/privacy.md says what the module and the function do: numbers, names and lists are compared with them."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from tests.e2e.test_privacy import SECRETS
from xcapi_core.deliveries.memory import REMEMBERED_S
from xcapi_core.ledger import CAPACITY, RETENTION_S
from xcapi_core.settings import Settings
from xcapi_core.x_api.credential_cache import KEPT_S

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
MODULE = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "terraform").glob("*.tf")}
EVERYTHING = "".join(MODULE.values())


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def blocks(kind: str) -> dict[str, str]:
    found = dict(re.findall(rf'(?ms)^resource "{kind}" "(\w+)" \{{\n(.*?)^\}}', EVERYTHING))
    assert found
    return found


def default_of(variable: str, field: str) -> str:
    block = re.search(rf'(?ms)^variable "{variable}" \{{\n(.*?)^\}}', MODULE["variables.tf"])
    assert block
    default = re.search(rf"(?m)^ +{field} += optional\(\w+, ([\w.]+)\)", block[1])
    assert default
    return default[1]


@pytest.mark.parametrize(
    ("variable", "field", "unit"),
    [
        ("delivery", "retention_days", ""),
        ("dead_letters", "retention_days", ""),
        ("settings", "settle_timeout_s", " s"),
    ],
)
def test_times_are_the_modules_defaults(variable: str, field: str, unit: str) -> None:
    assert f"`{variable}.{field}` ({default_of(variable, field)}{unit})" in section("What is kept")


def test_what_the_functions_memory_keeps_is_what_the_code_keeps() -> None:
    kept = section("What is kept")
    assert f"{RETENTION_S // 3600} hours, at most {CAPACITY:,} conversions" in kept
    assert REMEMBERED_S == 3600
    assert "| an hour |" in kept
    assert f"for {KEPT_S / 60:g} minutes" in kept


def test_every_subscription_has_its_row_and_nothing_else_keeps_messages() -> None:
    subscriptions = blocks("google_pubsub_subscription")
    names = {re.sub(r"\$\{var\.name\}|var\.name", "NAME", name) for name in _values(subscriptions, "name")}
    assert {f"subscription `{name}`" for name in names} == set(re.findall(r"subscription `NAME[\w-]*`", PAGE))
    assert "retain_acked_messages" not in EVERYTHING
    assert not [name for name, block in blocks("google_pubsub_topic").items() if "message_retention" in block]


def test_messages_and_secrets_stay_in_the_region() -> None:
    for block in blocks("google_pubsub_topic").values():
        assert "allowed_persistence_regions = [var.region]" in block
    for block in blocks("google_secret_manager_secret").values():
        assert "location = var.region" in block


def test_a_key_of_your_own_encrypts_what_the_page_says() -> None:
    encrypted = {
        kind
        for kind, block in re.findall(r'(?ms)^resource "(\w+)" "\w+" \{\n(.*?)^\}', EVERYTHING)
        if re.search(r"local\.kms_key_name\b", block)
    }
    words = {
        "google_pubsub_topic": "topics",
        "google_secret_manager_secret": "secrets",
        "google_storage_bucket": "source bucket",
        "google_artifact_registry_repository": "image repository",
        "google_cloudfunctions2_function": "function",
    }
    assert encrypted == set(words)
    sentence = section("Encryption").partition("Not under it")[0]
    assert all(word in sentence for word in words.values())


def test_roles_are_those_that_the_module_grants() -> None:
    named = set(re.findall(r"`(roles/[\w.]+)`", section("Who can read it")))
    assert named == {"roles/pubsub.subscriber", "roles/pubsub.viewer"}
    assert all(f'"{role}"' in MODULE["iam.tf"] for role in named)
    publishing = re.findall(r'(?ms)^resource "google_pubsub_topic_iam_member" "(\w+)" \{\n(.*?)^\}', MODULE["iam.tf"])
    to_dead_letters = {
        name
        for name, block in publishing
        if "google_pubsub_topic.dead_letters." in block.partition("lifecycle")[0] and "pubsub.publisher" in block
    }
    assert to_dead_letters == {"run", "pubsub"}


def test_nobody_may_be_everybody() -> None:
    rules = re.findall(r'(?m)^    error_message = "(.*allUsers.*)"$', MODULE["variables.tf"])
    assert [rule.split(" ")[0].split(".")[0] for rule in rules] == ["dead_letters", "publishers"]


@pytest.mark.parametrize(
    ("words", "planted"),
    [
        ("an e-mail address", "e-mail"),
        ("a phone number", "phone"),
        ("an IP address", "IP address"),
        ("a user agent", "user agent"),
        ("a click id", "click id"),
        ("a hash of one of them", "e-mail's digest"),
        ("a key", "consumer secret"),
        ("a token", "pixel token"),
    ],
)
def test_what_is_never_logged_is_planted_and_looked_for(words: str, planted: str) -> None:
    assert words in " ".join(section("What the log holds").split())
    assert planted in SECRETS


def test_each_way_to_name_conversions_has_its_row() -> None:
    assert set(re.findall(r'(?m)^\| `"(\w+)"`', section("What the log holds"))) == set(
        get_args(get_type_hints(Settings)["log_conversion_ids"])
    )


def _values(found: dict[str, str], field: str) -> list[str]:
    return [value.strip('"') for block in found.values() for value in re.findall(rf"(?m)^  {field} += (.+)$", block)]
