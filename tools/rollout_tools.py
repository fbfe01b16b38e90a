"""What `make rollout` needs besides Terraform, in a cache: the real providers, tflint, terraform-docs, checkov, promql.

    rollout_tools.py                prepare everything; the environment for Terraform goes to stdout, as JSON
    rollout_tools.py --only NAME …  some of it: providers, tflint, terraform-docs, checkov, promql
    rollout_tools.py --installed    prepare nothing: exit 1 with a sentence when something is missing

Providers come from wherever this machine's Terraform gets them, a registry or a mirror of one's own. Only where that
cannot be reached are they built from their Go modules, which takes minutes, once: Google's with the services that are
used here and no others, since all of them take three times as long, and without its pauses for what Google's APIs show
late, which are three quarters of an apply: nothing here is late unless a test says so. tflint is built without what it
would download plugins with, half of its packages. promql is this repository's own (tools/promql), Prometheus's engine
and nothing else; promtool can as much, and takes ten times as long to build. The cache is outside the checkout, in
$XDG_CACHE_HOME or ~/.cache, so that a fresh clone does not build again. What happens is said on stderr.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xcapi-rollout"
MODULE = Path(__file__).resolve().parent.parent / "terraform"
CHECKOV = "3.3.30"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program as a Go module: `version` is the release that the module's own version stands for.

    `module` is a path with a version, or a folder of this repository.
    """

    name: str
    version: str
    module: str | Path
    minutes: str

    @property
    def binary(self) -> str:
        """Its file name, with the version, or what a folder's files come to: another one is built beside it."""
        version = self.version
        if isinstance(self.module, Path):
            source = b"".join((self.module / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
            version = hashlib.sha256(source).hexdigest()[:12]
        return f"{self.name}-{version}"


# Terraform's providers are no tagged Go modules: their versions are those of commits. Google's is two days after 8.0.0.
PROVIDERS = (
    GoProgram(
        "google",
        "8.0.0",
        "github.com/hashicorp/terraform-provider-google@v1.20.1-0.20260828184646-f3721fb45fa3",
        "2 to 5 minutes",
    ),
    GoProgram(
        "archive",
        "2.8.0",
        "github.com/hashicorp/terraform-provider-archive@v1.3.1-0.20260727144921-44050a6fd1aa",
        "half a minute",
    ),
)
PROGRAMS = (
    GoProgram("tflint", "0.64.0", "github.com/terraform-linters/tflint@v0.64.0", "a minute"),
    GoProgram("terraform-docs", "0.24.0", "github.com/terraform-docs/terraform-docs@v0.24.0", "half a minute"),
    GoProgram("promql", "of Prometheus 3.8.0", Path(__file__).resolve().parent / "promql", "a minute"),
)
# Google's services whose resources the module, its examples and tests name. They bring along what they need themselves.
SERVICES = (
    "artifactregistry",
    "bigquery",
    "bigquerydatatransfer",
    "billingbudgets",
    "cloudfunctions2",
    "cloudrunv2",
    "kms",
    "logging",
    "monitoring",
    "pubsub",
    "resourcemanager",
    "secretmanager",
    "storage",
)
_REGISTERED_IN = Path("google", "provider", "provider_register_services.go")
# File below google/, what stands there, and what takes its place: after an account was made, between the three looks at
# a policy that was set, and before requests are sent together.
_PAUSES = (
    (
        "services/resourcemanager/resource_google_service_account.go",
        "time.Sleep(10 * time.Second)",
        "time.Sleep(time.Millisecond)",
    ),
    ("tpgiamresource/iam.go", "fetchBackoff := 1 * time.Second", "fetchBackoff := time.Millisecond"),
    ("transport/batcher.go", "DefaultBatchSendIntervalSec = 3", "DefaultBatchSendIntervalSec = 0"),
)
_ALL = ("promql", "tflint", "terraform-docs", "checkov", "providers")


class ToolsError(Exception):
    """Something cannot be had; the text is the one sentence for the person at the terminal."""


def main() -> int:
    """Prepare what was asked for and print Terraform's environment."""
    parser = argparse.ArgumentParser(description="prepare what make rollout needs")
    parser.add_argument("--only", nargs="+", choices=_ALL)
    parser.add_argument("--installed", action="store_true")
    arguments = parser.parse_args()
    wanted = arguments.only or list(_ALL)
    try:
        if arguments.installed:
            missing = [name for name in wanted if not _is_there(name)]
            if missing:
                raise ToolsError(f"{', '.join(missing)} not prepared yet: `make rollout` does that once")  # noqa: TRY301
        else:
            _prepare(wanted)
    except ToolsError as error:
        _say(str(error))
        return 1
    environment = json.loads(_environment_file().read_text()) if _environment_file().exists() else {}
    print(json.dumps({**environment, "PATH": os.pathsep.join([str(CACHE / "bin"), os.environ.get("PATH", "")])}))
    return 0


def _prepare(wanted: list[str]) -> None:
    if all(_is_there(name) for name in wanted):
        return
    if shutil.which("terraform") is None:
        raise ToolsError("Terraform is not on this machine: install it, 1.9 or newer, and run the same command again.")
    CACHE.mkdir(parents=True, exist_ok=True)
    with _only_one():
        for name in wanted:
            if _is_there(name):
                continue
            if name == "providers":
                _prepare_providers()
            elif name == "checkov":
                _install_checkov()
            else:
                program = next(one for one in PROGRAMS if one.name == name)
                target = CACHE / "bin" / program.binary
                if not target.exists():
                    _build(program, target)
                _link(program)


def _is_there(name: str) -> bool:
    if name == "providers":
        file = _environment_file()
        # The cache may have been cleared in part: then it is filled again.
        return file.exists() and all(Path(place).exists() for place in json.loads(file.read_text()).values())
    if name == "checkov":
        return (CACHE / f"checkov-{CHECKOV}" / ".finished").exists()
    program = next(one for one in PROGRAMS if one.name == name)
    # Another checkout of another version may have been here: the name leads to what was asked for last.
    link, binary = CACHE / "bin" / program.name, CACHE / "bin" / program.binary
    return binary.exists() and link.resolve() == binary.resolve()


def _environment_file() -> Path:
    """Name where the providers' way to Terraform is kept; another build needs another way."""
    return CACHE / f"environment-{_providers_key()}.json"


def _providers_key() -> str:
    changed = hashlib.sha256(repr((SERVICES, _PAUSES)).encode()).hexdigest()[:8]
    return "-".join([*(one.version for one in PROVIDERS), changed])


def _prepare_providers() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        shutil.copy(MODULE / "versions.tf", scratch)
        environment = _from_registry(scratch) or _from_source(scratch)
    _environment_file().write_text(json.dumps(environment))


def _from_registry(scratch: Path) -> Mapping[str, str]:
    """Let Terraform fetch the providers as it is set up to; an empty answer says that it cannot."""
    plugins = CACHE / "plugins"
    plugins.mkdir(exist_ok=True)
    environment = {"TF_PLUGIN_CACHE_DIR": str(plugins)}
    patience = {"TF_REGISTRY_DISCOVERY_RETRY": "1", "TF_REGISTRY_CLIENT_TIMEOUT": "10"}
    _say("Fetching Terraform's google and archive providers (40 MB) …")
    fetched = _run("terraform", "init", "-backend=false", "-input=false", folder=scratch, **environment, **patience)
    if fetched.returncode == 0:
        return environment
    _say("No provider registry can be reached from here: building them from their Go modules instead, once.")
    return {}


def _from_source(scratch: Path) -> Mapping[str, str]:
    """Build the providers into a mirror in the layout that Terraform knows, and say how it finds that."""
    # Terraform itself knows where its providers usually come from: the mirror's folders are named after that.
    told = _run("terraform", "providers", folder=scratch).stdout
    host = re.search(r"provider\[([^/\]]+)/hashicorp/google\]", told)
    if host is None:
        raise ToolsError("`terraform providers` does not name the google provider: is this Terraform 1.9 or newer?")
    mirror = CACHE / f"mirror-{_providers_key()}"
    system = f"{platform.system().lower()}_{_architecture()}"
    for one in PROVIDERS:
        folder = mirror / host[1] / "hashicorp" / one.name / one.version / system
        target = folder / f"terraform-provider-{one.name}_v{one.version}"
        if not target.exists():
            _build(one, target)
    configuration = CACHE / f"{mirror.name}.tfrc"
    configuration.write_text(
        f"provider_installation {{\n  filesystem_mirror {{\n    path = {json.dumps(str(mirror))}\n  }}\n}}\n"
    )
    return {"TF_CLI_CONFIG_FILE": str(configuration)}


def _build(program: GoProgram, target: Path) -> None:
    if shutil.which("go") is None:
        raise ToolsError(f"{program.name} has to be built here, and there is no Go: install it (1.25 or newer).")
    _say(f"Building {program.name} {program.version} ({program.minutes}, once) …")
    started = time.monotonic()
    # Collecting garbage and inlining are a third of the compiler's time, and these programs run for seconds.
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOGC": "400"}
    source = program.module if isinstance(program.module, Path) else _downloaded(program.module, settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.unfinished")
    command = ("go", "build", "-p", "2", "-trimpath", "-gcflags=all=-l", "-ldflags=-s -w", "-o", str(unfinished), ".")
    with tempfile.TemporaryDirectory() as folder:
        if change := _CHANGES.get(program.name):
            source = _copied(source, Path(folder) / "source")
            change(source)
        built = _run(*command, folder=source, **settings)
    if built.returncode:
        raise ToolsError(f"{program.name} cannot be built: {built.stderr.strip().splitlines()[-1:]}")
    unfinished.rename(target)  # at once, so that nobody finds half a program
    _say(f"Built {program.name} in {time.monotonic() - started:.0f} s.")


def _downloaded(module: str, settings: Mapping[str, str]) -> Path:
    """Return where a module's source lies. Not `go install`: it wants a list of versions, which not every proxy has."""
    found = _run("go", "mod", "download", "-json", module, folder=CACHE, **settings)
    if found.returncode:
        raise ToolsError(f"{module} cannot be downloaded: is the Go module proxy (GOPROXY) within reach?")
    return Path(json.loads(found.stdout)["Dir"])


def _copied(source: Path, copy: Path) -> Path:
    """Copy a module out of Go's cache, where everything is for reading only, and return the copy."""
    ignored = shutil.ignore_patterns("*_test.go", "test-fixtures", "testdata", "website", "xcapi-rollout")
    shutil.copytree(source, copy, ignore=ignored, copy_function=shutil.copyfile)
    copy.chmod(0o700)
    return copy


def _edit(file: Path, pattern: str, new: str) -> None:
    """Write something else for what a pattern finds."""
    text, found = re.subn(pattern, new, file.read_text())
    if not found:
        raise ToolsError(
            f"{file.name} has no `{pattern}`: the changes in tools/rollout_tools.py are of another version"
        )
    file.write_text(text)


def _change_google(source: Path) -> None:
    """Leave out what registers other services, and the pauses."""
    others = rf'.*/google/services/(?!({"|".join(SERVICES)})")\w+"\n'
    _edit(source / _REGISTERED_IN, others, "")
    for name, pause, short in _PAUSES:
        _edit(source / "google" / name, re.escape(pause), short)


def _change_tflint(source: Path) -> None:
    """Leave out what verifies a plugin's origin (sigstore), and S3 and Cloud Storage as sources of modules."""
    signature = source / "plugin" / "signature.go"
    _edit(signature, r'\t"(crypto/sha256|encoding/json|log|github[.]com/sigstore/.*)"\n', "")
    refusal = (
        'VerifyAttestations(io.Reader, []*github.Attestation) error {\n\treturn fmt.Errorf("not in this build")\n}\n'
    )
    _edit(signature, r"(?s)VerifyAttestations\(.*?\n}\n", refusal)
    getter = _copied(_downloaded("github.com/hashicorp/go-getter@v1.8.6", {}), source / "getter")
    for name, kind in (("s3", "S3"), ("gcs", "GCS")):
        (getter / f"get_{name}.go").unlink()
        _edit(getter / "get.go", rf'\t\t"{name}": +new\({kind}Getter\),\n', "")
    _run("go", "mod", "edit", "-replace=github.com/hashicorp/go-getter=./getter", folder=source)


_CHANGES: Mapping[str, Callable[[Path], None]] = {"google": _change_google, "tflint": _change_tflint}


def _link(program: GoProgram) -> None:
    link = CACHE / "bin" / program.name
    link.unlink(missing_ok=True)
    link.symlink_to(program.binary)


def _install_checkov() -> None:
    _say(f"Installing checkov {CHECKOV} into a virtual environment of its own (a minute, once) …")
    folder = CACHE / f"checkov-{CHECKOV}"
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [
            str(folder / "bin" / "pip"),
            "install",
            "--quiet",
            "--no-compile",
            "--disable-pip-version-check",
            f"checkov=={CHECKOV}",
        ],
    ):
        done = _run(*command, folder=CACHE)
        if done.returncode:
            raise ToolsError(
                f"checkov cannot be installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
            )
    (CACHE / "bin").mkdir(exist_ok=True)
    link = CACHE / "bin" / "checkov"
    link.unlink(missing_ok=True)
    link.symlink_to(folder / "bin" / "checkov")
    (folder / ".finished").touch()


def _run(*command: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@contextmanager
def _only_one() -> Iterator[None]:
    """One preparation at a time on this machine; the lock goes with the process, however it ends."""
    # As in bootstrap.py, which runs isolated (-I), where a script can import nothing that lies beside it.
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another run prepares the same: waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
