"""What the module accepts the function accepts too, and what the function refuses fails at plan, with the rule.

Both read the same table. The module's variables and the configuration that it makes of them are planned by themselves,
without a provider: nothing else of it takes part in these rules.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import phonenumbers
import pytest

from tests.rollout.workspace import MODULE, TerraformError, run_terraform
from tests.settings.test_reader import ACCEPTED, CASES, at, changed
from xcapi_core.settings import Settings
from xcapi_core.settings.reader import ConfigurationError, read_settings

REFUSALS = [json.loads(line) for line in (Path(__file__).parent / "refusals.jsonl").read_text().splitlines()]
MINIMAL: Mapping[str, Any] = {
    "project_id": "my-project",
    "region": "europe-west1",
    "pixels": {"o8z6j": {"event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"}}},
}
Render = Callable[[Mapping[str, Any]], dict[str, Any]]

# Rows about what is none of the module's variables, or what Terraform decides before the module sees it.
OTHERWISE = {
    "no topic": "made by the module",
    "topic null": "made by the module",
    "topic without its project": "made by the module",
    "a subscription is no topic": "made by the module",
    "Google keeps names in goog": "made by the module: var.name, in refusals.jsonl",
    "dead letters to a file": "made by the module",
    "dead_letter_topic as a file": "made by the module",
    "without a remainder topic messages are nacked whole; conversions are named by digest": "the module always has one",
    "remainder topic in a file, for local use": "made by the module",
    "remainders go to the dead-letter topic": "made by the module",
    "remainder topic is no topic": "made by the module",
    "no credentials": "made by the module",
    "an unknown key of a pixel": "Terraform drops attributes that an object type does not have",
    "an unknown key at the top": "Terraform drops attributes that an object type does not have",
    "an unknown key that is like nothing": "Terraform drops attributes that an object type does not have",
    "unknown keys of the sections": "Terraform drops attributes that an object type does not have",
    "dry_run as text": "Terraform converts it to false, which is what the function gets",
    "a time-out as text": "Terraform converts it to 10, which is what the function gets",
    "a version that is a number": 'Terraform converts it to "12", which is what the function gets',
    "a pixel without anything": "the module adds the credentials",
    "a tag that is a number": "Terraform converts it to text, which is what the function gets",
    "dedup key sources as text": "Terraform refuses the type",
    "a consent category that is a number": "Terraform converts it to text, which is what the function gets",
}
ROWS = [
    case
    for case in CASES
    if case["case"] not in OTHERWISE
    and not any("credentials" in path for path in [*case.get("set", {}), *case.get("remove", [])])
]


@pytest.fixture(name="render", scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory, terraform_environment: Mapping[str, str]) -> Render:
    """Give a function from variables to XCAPI_CONFIG."""
    folder = tmp_path_factory.mktemp("rules")
    for name in ("variables.tf", "phone_regions.tf", "configuration.tf"):
        shutil.copy(MODULE / name, folder)
    (folder / "outputs.tf").write_text('output "configuration" { value = jsonencode(local.configuration) }\n')
    run_terraform(folder, "init", "-input=false", environment=terraform_environment)

    def render(variables: Mapping[str, Any]) -> dict[str, Any]:
        (folder / "terraform.tfvars.json").write_text(json.dumps({**MINIMAL, **variables}))
        # There are no resources: an apply plans, and writes the output down, in half the time of `plan` and `show`.
        command = ("apply", "-auto-approve", "-input=false", "-no-color", "-refresh=false")
        run_terraform(folder, *command, environment=terraform_environment)
        state = json.loads((folder / "terraform.tfstate").read_text(encoding="utf-8"))
        document: dict[str, Any] = json.loads(state["outputs"]["configuration"]["value"])
        return document

    return render


def as_variables(case: Mapping[str, Any]) -> dict[str, Any]:
    """Write a row of the function's table as the module's variables."""
    document = json.loads(changed(dict(case)))
    for topic in ("dead_letter_topic", "remainder_topic"):
        document.pop(topic, None)
    pixels = document.pop("pixels", None)
    if isinstance(pixels, dict):
        for pixel in pixels.values():
            if isinstance(pixel, dict):
                pixel.pop("credentials", None)
    settle = document.get("settle_timeout_s")
    delivery = {"ack_deadline_s": 600} if isinstance(settle, int | float) and settle > 55 else {}
    return {"settings": document, "pixels": pixels, "delivery": delivery}


def test_every_exception_is_a_row() -> None:
    names = {case["case"] for case in CASES}
    assert set(OTHERWISE) - {"dead_letter_topic as a file"} <= names


@pytest.mark.parametrize("case", [one for one in ROWS if one in ACCEPTED], ids=lambda case: case["case"])
def test_what_the_function_accepts_the_module_accepts_and_means_the_same(
    render: Render, case: Mapping[str, Any]
) -> None:
    settings = read_settings(json.dumps(render(as_variables(case))))
    for path, value in case["reads"].items():
        assert at(settings, path) == value


@pytest.mark.parametrize("case", [one for one in ROWS if one not in ACCEPTED], ids=lambda case: case["case"])
def test_what_the_function_refuses_fails_at_plan(render: Render, case: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        read_settings(changed(dict(case)))
    with pytest.raises(TerraformError) as refused:
        render(as_variables(case))
    words = " ".join(str(refused.value).replace("│", " ").split())
    path = case["problems"][0][0].split(".")
    named = path[0] if path[0] == "pixels" else f"settings.{path[0]}"
    # A value of a wrong type is Terraform's to refuse, which names it in its own words.
    assert f"{named}" in words or "Invalid value for input variable" in words
    assert "must be" in words or "must have" in words or "required" in words or "must not be null" in words


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case["case"])
def test_a_wrong_value_of_the_module_fails_at_plan_with_the_rule(render: Render, case: Mapping[str, Any]) -> None:
    with pytest.raises(TerraformError) as refused:
        render(case["set"])
    assert case["rule"] in " ".join(str(refused.value).replace("│", " ").split())


ACCOUNT = "123456789012-compute@developer.gserviceaccount.com"
BORDERS: Mapping[str, Mapping[str, Any]] = {
    "names of 3 and project ids of 6": {"name": "abc", "project_id": "abcdef"},
    "names of 24 and project ids of 30": {"name": "a" * 24, "project_id": "a" * 30},
    "a region of two digits": {"region": "europe-west10"},
    "a filter of 256 bytes in 128 characters": {"delivery": {"filter": "ä" * 128}},
    "a filter of 256 bytes in 64 characters": {"delivery": {"filter": "🛒" * 64}},
    "the shortest deadline and retention": {
        "settings": {"settle_timeout_s": 1, "request_timeout_s": 0.5},
        "delivery": {"ack_deadline_s": 21, "retention_days": 1, "min_backoff_s": 0, "max_backoff_s": 0},
        "dead_letters": {"retention_days": 1},
    },
    "the longest": {
        "settings": {"settle_timeout_s": 580},
        "delivery": {"ack_deadline_s": 600, "retention_days": 31, "min_backoff_s": 600, "max_delivery_attempts": 5},
    },
    "60 labels of 63 characters": {"labels": {f"{number:a>63}": "9" * 63 for number in range(60)}},
    "nulls where there is a default": dict.fromkeys(
        ("alerts", "build", "dead_letters", "delivery", "existing", "function", "labels", "network")
    ),
    "nulls inside, where there is a default": {
        "dead_letters": {"readers": None, "retention_days": None},
        "settings": {"batch": None, "consent": None},
        "alerts": {"silence": {"enabled": None, "notification_channels": None, "threshold": None}},
    },
    "thresholds at their ends": {
        "alerts": {
            "dead_letters_waiting": {"threshold": 2678399},
            "oldest_event": {"threshold": 604799},
            "push_errors": {"threshold": 0.999},
            "retention": {"threshold": 0.001},
            "silence": {"threshold": 12},
        }
    },
    "Google's own account, and a topic of that name elsewhere": {
        "existing": {"run_service_account": ACCOUNT, "topic": "projects/data-project/topics/x-conversions-dead-letter"}
    },
    "a network by its address, and tags": {
        "network": {
            "direct_vpc": {
                "network": "https://www.googleapis.com/compute/v1/projects/host-project/global/networks/shared",
                "subnetwork": "projects/host-project/regions/europe-west1/subnetworks/run",
                "tags": ["a", "egress-1", "b" * 63],
            }
        }
    },
    "the module's own account by its name": {
        "existing": {"run_service_account": "x-conversions-run@my-project.iam.gserviceaccount.com"}
    },
}


@pytest.mark.parametrize("name", BORDERS)
def test_a_value_at_its_border_is_accepted(render: Render, name: str) -> None:
    assert read_settings(json.dumps(render(BORDERS[name])))


def test_defaults_are_the_functions_own(render: Render) -> None:
    document = render({})
    minimal = {key: document[key] for key in ("dead_letter_topic", "pixels", "remainder_topic")}
    assert read_settings(json.dumps(document)) == read_settings(json.dumps(minimal))


def test_every_setting_of_the_function_is_a_variable_of_the_module() -> None:
    variables = (MODULE / "variables.tf").read_text(encoding="utf-8")
    settings = variables.partition('variable "settings"')[2].partition("validation {")[0]
    for name in set(Settings.__struct_fields__) - {"dead_letter_topic", "pixels", "remainder_topic"}:
        assert f"    {name} " in settings, name


def test_phone_regions_are_the_librarys() -> None:
    text = (MODULE / "phone_regions.tf").read_text(encoding="utf-8")
    named = text.partition("<<-EOT\n")[2].partition("EOT")[0].split()
    assert set(named) == phonenumbers.SUPPORTED_REGIONS


@pytest.mark.parametrize(("instances", "share"), [(1, 60000), (2, 30000), (7, 8571)])
def test_instances_share_the_rate_budget(render: Render, instances: int, share: int) -> None:
    assert render({"function": {"max_instances": instances}})["rate"]["events"] == share
