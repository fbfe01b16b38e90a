"""The module as it lies there: its form, its linters' and scanner's verdicts, its own tests, its documents."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.rollout.conftest import Tool
from tests.rollout.log_filters import events_named
from tests.rollout.workspace import MODULE, copy_of_the_repository, run_terraform, use_archive
from tests.services import unavailable
from tests.test_architecture import UNDEPLOYED
from tests.test_docs import emitted_events
from xcapi_core.sandbox.services.checkout import repository_root

EXAMPLES = sorted(path.parent for path in (MODULE / "examples").glob("*/main.tf"))
FOLDERS = [MODULE, *EXAMPLES]


def said(*command: str, folder: Path = MODULE) -> str:
    """Run a checker; its complaints are the failure."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(name="copied", scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of the module with its examples: `init` leaves its traces there."""
    return copy_of_the_repository(tmp_path_factory.mktemp("module")) / "terraform"


def name_of(folder: Path) -> str:
    return folder.name


def test_there_are_the_promised_examples() -> None:
    assert [folder.name for folder in EXAMPLES] == [
        "bigquery-export",
        "cloud-storage-files",
        "existing-secrets-and-topic-publishers",
        "hardened",
        "minimal",
        "several-pixels",
        "sgtm",
        "two-environments",
    ]


def test_everything_is_formatted() -> None:
    if shutil.which("terraform") is None:
        unavailable("Terraform is not on this machine")
    said("terraform", "fmt", "-check", "-recursive", "-diff")


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_it_is_valid_and_its_own_tests_pass(
    copied: Path, folder: Path, terraform_environment: Mapping[str, str]
) -> None:
    at = copied / folder.relative_to(MODULE)
    empty = at / "source-0.0.0.zip"
    empty.touch()
    options = []
    if folder == MODULE:
        options = ["-var", f"source_archive={empty}"]
    else:
        use_archive(at, empty)
    run_terraform(at, "init", "-backend=false", "-input=false", environment=terraform_environment)
    # A plan, and so each of these tests, begins with what `terraform validate` does.
    told = run_terraform(at, "test", "-no-color", *options, environment=terraform_environment)
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", told), told


def _hcl_blocks() -> list[str]:
    root = repository_root()
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md")), *sorted(MODULE.rglob("README.md"))]
    blocks = [block for page in pages for block in re.findall(r"(?ms)^```hcl\n(.*?)^```", page.read_text("utf-8"))]
    return [re.sub(r"(?ms)^terraform \{\n.*?^\}\n", "", block) for block in blocks]


def test_the_documents_blocks_plan(copied: Path, terraform_environment: Mapping[str, str]) -> None:
    """Whole configurations under one roof, each under a number of its own; pieces have to name variables."""
    modules = [block for block in _hcl_blocks() if 'module "' in block]
    pieces = [block for block in _hcl_blocks() if 'module "' not in block]
    assert len(modules) >= 3
    at = copied / "examples" / "of-the-documents"
    (at / "tests").mkdir(parents=True)
    for number, block in enumerate(modules):
        numbered = re.sub(r'(module[ .]"?|output ")(\w+)', rf"\g<1>\g<2>_{number}", block)
        numbered = re.sub(r'(?m)^( +source +=) ".*"', r'\1 "../.."', numbered)
        (at / f"block_{number}.tf").write_text(numbered, encoding="utf-8")
    empty = at / "source-0.0.0.zip"
    empty.touch()
    use_archive(at, empty)
    shutil.copy(copied / "examples" / "minimal" / "versions.tf", at)
    (at / "variables.tf").write_text('variable "project_id" {\n  type = string\n}\n', encoding="utf-8")
    (at / "tests" / "plan.tftest.hcl").write_text(
        'mock_provider "google" {\n  source = "../../tests/mocks"\n}\n\n'
        'variables {\n  project_id = "my-project"\n}\n\n'
        'run "they_plan" {\n  command = plan\n}\n',
        encoding="utf-8",
    )
    run_terraform(at, "init", "-backend=false", "-input=false", environment=terraform_environment)
    told = run_terraform(at, "test", "-no-color", environment=terraform_environment)
    assert "Success! 1 passed, 0 failed" in told, told
    for piece in pieces:
        named = set(re.findall(r"(?m)^ +(\w+) +=", piece))
        assert named
        assert named <= {"source", *declared("variable")}, piece


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_tflint_has_no_complaint(folder: Path, tool: Tool) -> None:
    said(tool("tflint"), f"--config={MODULE / '.tflint.hcl'}", folder=folder)


def test_checkov_has_no_complaint_that_is_not_argued(tool: Tool, tmp_path: Path) -> None:
    # It has no check of these, and takes as long for their expressions as for all the rest.
    unchecked = ("alerts.tf", "dashboard.tf", "metrics.tf", "next_steps.tf", "phone_regions.tf")
    at = shutil.copytree(MODULE, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform", *unchecked))
    command = [tool("checkov"), "--config-file", ".checkov.yaml", "--directory", ".", "--output", "json"]
    told = subprocess.run(command, cwd=at, capture_output=True, text=True, timeout=300, check=False)
    report = json.loads(told.stdout)
    failed = [f"{one['check_id']} {one['resource']}" for one in report["results"]["failed_checks"]]
    assert failed == []
    assert report["results"]["parsing_errors"] == []
    assert report["summary"]["passed"] > 10
    for skipped in report["results"]["skipped_checks"]:
        assert len(skipped["check_result"]["suppress_comment"]) > 20, skipped["check_id"]


def test_inputs_and_outputs_in_the_readme_are_the_modules(tool: Tool) -> None:
    said(tool("terraform-docs"), "markdown", "table", "--config", ".terraform-docs.yml", "--output-check", ".")


def declared(kind: str) -> list[str]:
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(MODULE.glob("*.tf")))
    return re.findall(rf'(?m)^{kind} "(\w+)"', text)


def test_variables_are_alphabetical_and_the_three_are_the_only_required_ones() -> None:
    assert declared("variable") == sorted(declared("variable"))
    text = (MODULE / "variables.tf").read_text(encoding="utf-8")
    blocks = re.findall(r'(?ms)^variable "(\w+)" \{\n(.*?)^\}', text)
    assert {name for name, block in blocks if "\n  default " not in "\n" + block} == {"pixels", "project_id", "region"}


def test_log_based_metrics_name_events_that_the_function_writes() -> None:
    named = events_named((MODULE / "metrics.tf").read_text(encoding="utf-8").replace('\\"', '"'))
    assert len(named) > 5
    # An outbox writes its name in front of these.
    outboxes = {f"{outbox}.published" for outbox in ("dead_letters", "remainder")}
    assert named <= emitted_events() | outboxes | {"batch.delivered"}


def test_what_is_left_out_of_the_zip_is_what_the_architecture_leaves_out() -> None:
    source = (MODULE / "source.tf").read_text(encoding="utf-8")
    for module in UNDEPLOYED:
        path = module.replace(".", "/")
        assert f'"{path}/"' in source or f'"{path}.py"' in source, module


def test_each_alert_has_its_section_in_the_runbook_and_no_section_lacks_its_alert() -> None:
    text = (MODULE / "alerts.tf").read_text(encoding="utf-8")
    keys, alerts = (
        re.findall(r"(?m)^    (\w+) = \{\n      title ", text),
        re.findall(r'(?m)^      title    = "(.+)"$', text),
    )
    assert len(keys) == len(alerts) == 13
    runbook = (repository_root() / "docs" / "operations.md").read_text(encoding="utf-8")
    section = runbook.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"(?m)^### (.+)$", section)) == sorted(alerts)
    by_title = dict(zip(alerts, keys, strict=True))
    for title, text in re.findall(r"(?ms)^### (.+?)\n(.*?)(?=^### |\Z)", section):
        for part in (f"**Means** (`{by_title[title]}`)", "**Look at**", "**Do**", "```sh"):
            assert part in text, f"{title}: {part}"
        # Cloud Monitoring's limit for an alert's documentation, with room for the line that Terraform adds.
        assert len(text.encode()) < 8000, title


def test_nothing_secret_can_be_in_a_plan() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in MODULE.glob("*.tf"))
    assert "google_secret_manager_secret_version" not in text


def test_examples_stand_in_the_modules_readme() -> None:
    readme = (MODULE / "README.md").read_text(encoding="utf-8")
    for folder in EXAMPLES:
        assert f"(examples/{folder.name})" in readme
    assert json.dumps("hashicorp/google") in (MODULE / "versions.tf").read_text(encoding="utf-8")
