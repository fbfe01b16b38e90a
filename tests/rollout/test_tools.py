"""The tools' preparation on other machines than this one: with a registry, without one, without Terraform or Go."""

import hashlib
import json
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from xcapi_core.sandbox.services.checkout import repository_root

TOOLS = repository_root() / "tools" / "rollout_tools.py"
WITH_REGISTRY = '#!/bin/sh\necho "$@" >> "$XDG_CACHE_HOME/asked"\nexit 0\n'
WITHOUT_REGISTRY = """#!/bin/sh
if [ "$1" = providers ]; then echo "└── provider[registry.example.com/hashicorp/google] >= 8.0.0"; exit 0; fi
exit 1
"""
# Stands for the Go tool chain: "downloads" a folder and "builds" a file of a source's files.
GO = """#!/bin/sh
if [ "$1" = mod ]; then echo "{\\"Dir\\": \\"$XDG_CACHE_HOME/source\\"}"; exit 0; fi
while [ "$1" != -o ]; do shift; done
echo built > "$2"
for file in google/*/*.go google/*/*/*.go plugin/*.go getter/*.go; do
  [ ! -f "$file" ] || while IFS= read -r line; do echo "$line"; done < "$file" >> "$2"
done
"""
REGISTERED = """import (
	_ "github.com/hashicorp/terraform-provider-google/google/services/compute"
	_ "github.com/hashicorp/terraform-provider-google/google/services/pubsub"
)
"""
PAUSES = {
    "transport/batcher.go": "const DefaultBatchSendIntervalSec = 3\n",
    "tpgiamresource/iam.go": "fetchBackoff := 1 * time.Second\n",
    "services/resourcemanager/resource_google_service_account.go": "time.Sleep(10 * time.Second)\n",
}


def prepare(folder: Path, *arguments: str, **programs: str) -> subprocess.CompletedProcess[str]:
    programs_folder = folder / "bin"
    programs_folder.mkdir(exist_ok=True)
    (folder / "source").mkdir(exist_ok=True)
    for name, text in programs.items():
        (programs_folder / name).write_text(text)
        (programs_folder / name).chmod(stat.S_IRWXU)
    return subprocess.run(
        [sys.executable, str(TOOLS), *arguments],
        env={"PATH": str(programs_folder), "XDG_CACHE_HOME": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_registry_is_simply_used(tmp_path: Path) -> None:
    done = prepare(tmp_path, "--only", "providers", terraform=WITH_REGISTRY)
    assert done.returncode == 0, done.stderr
    environment = json.loads(done.stdout)
    assert Path(environment["TF_PLUGIN_CACHE_DIR"]).is_dir()
    assert "TF_CLI_CONFIG_FILE" not in environment, "the user's own stays in force"
    assert "Building" not in done.stderr


SIGNATURE = """import (
	"encoding/json"
	"fmt"
	"github.com/sigstore/sigstore-go/pkg/verify"
)
func (c *SignatureChecker) VerifyAttestations(target io.Reader, attestations []*github.Attestation) error {
	verifier, err := verify.NewVerifier()
}
"""
GETTERS = """var Getters = map[string]Getter{
		"gcs":   new(GCSGetter),
		"git":   new(GitGetter),
		"s3":    new(S3Getter),
}
"""


def write_source(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o444)
    return folder


def test_without_a_registry_providers_are_built_once_into_a_mirror_and_it_is_said(tmp_path: Path) -> None:
    files = {"provider/provider_register_services.go": REGISTERED, **PAUSES}
    google = write_source(tmp_path / "source" / "google", files)
    done = prepare(tmp_path, "--only", "providers", terraform=WITHOUT_REGISTRY, go=GO)
    assert done.returncode == 0, done.stderr
    assert "building them from their Go modules" in done.stderr
    configuration = Path(json.loads(done.stdout)["TF_CLI_CONFIG_FILE"]).read_text()
    assert "filesystem_mirror" in configuration
    (built,) = tmp_path.rglob("terraform-provider-google_v8.0.0")
    assert built.relative_to(tmp_path).parts[2:6] == ("registry.example.com", "hashicorp", "google", "8.0.0")
    assert built.read_text().splitlines() == [
        "built",
        "import (",
        '\t_ "github.com/hashicorp/terraform-provider-google/google/services/pubsub"',
        ")",
        "fetchBackoff := time.Millisecond",
        "const DefaultBatchSendIntervalSec = 0",
        "time.Sleep(time.Millisecond)",
    ], "with the services that are used here, and without pauses"
    assert {name: (google / name).read_text() for name in files} == files, "Go's cache is left as it is"
    again = prepare(tmp_path, "--only", "providers")
    assert again.returncode == 0
    assert again.stderr == ""
    assert again.stdout.partition('"PATH"')[0] == done.stdout.partition('"PATH"')[0]


def test_a_provider_without_these_pauses_is_another_version_and_not_built(tmp_path: Path) -> None:
    write_source(
        tmp_path / "source" / "google",
        {"provider/provider_register_services.go": REGISTERED, **PAUSES, "transport/batcher.go": "package transport\n"},
    )
    done = prepare(tmp_path, "--only", "providers", terraform=WITHOUT_REGISTRY, go=GO)
    assert done.returncode == 1
    assert "batcher.go has no `DefaultBatchSendIntervalSec" in done.stderr
    assert not list(tmp_path.rglob("terraform-provider-google_v*"))


def test_tflint_is_built_without_what_downloads_plugins(tmp_path: Path) -> None:
    files = {"plugin/signature.go": SIGNATURE, "get.go": GETTERS, "get_s3.go": "S3\n", "get_gcs.go": "GCS\n"}
    write_source(tmp_path / "source", files)
    done = prepare(tmp_path, "--only", "tflint", terraform=WITH_REGISTRY, go=GO)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "xcapi-rollout" / "bin" / "tflint").read_text().splitlines() == [
        "built",
        "import (",
        '\t"fmt"',
        ")",
        "func (c *SignatureChecker) VerifyAttestations(io.Reader, []*github.Attestation) error {",
        '\treturn fmt.Errorf("not in this build")',
        "}",
        "var Getters = map[string]Getter{",
        '\t\t"git":   new(GitGetter),',
        "}",
    ]


def test_what_evaluates_queries_is_built_from_this_repository_and_again_when_its_source_is_another(
    tmp_path: Path,
) -> None:
    done = prepare(tmp_path, "--only", "promql", terraform=WITH_REGISTRY, go=GO)
    assert done.returncode == 0, done.stderr
    source = b"".join((TOOLS.parent / "promql" / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    link = tmp_path / "xcapi-rollout" / "bin" / "promql"
    assert link.readlink().name == f"promql-{hashlib.sha256(source).hexdigest()[:12]}"
    assert prepare(tmp_path, "--installed", "--only", "promql").returncode == 0
    link.unlink()
    link.symlink_to("promql-another")
    assert prepare(tmp_path, "--installed", "--only", "promql").returncode == 1
    again = prepare(tmp_path, "--only", "promql", terraform=WITH_REGISTRY)
    assert again.returncode == 0, "it is there, and needs no Go"
    assert link.readlink().name != "promql-another"


@pytest.mark.parametrize(
    ("programs", "sentence"),
    [({}, "Terraform is not on this machine"), ({"terraform": WITHOUT_REGISTRY}, "there is no Go")],
    ids=["no Terraform", "neither registry nor Go"],
)
def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path, programs: dict[str, str], sentence: str) -> None:
    done = prepare(tmp_path, "--only", "providers", **programs)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_prepared_where_only_a_look_is_wanted(tmp_path: Path) -> None:
    done = prepare(tmp_path, "--installed", "--only", "tflint", terraform=WITH_REGISTRY)
    assert done.returncode == 1
    assert "tflint not prepared yet" in done.stderr
    assert not (tmp_path / "xcapi-rollout").exists()
