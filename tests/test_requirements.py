"""The lock files: complete, hashed, the same everywhere, and nothing that the function does not use."""

import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_architecture import deployed_modules, imports_of

ROOT = Path(__file__).resolve().parent.parent
LOCK_FILES = ("requirements.txt", "requirements-dev.txt")

# Import name → the requirement that brings it. The longest name that fits counts.
BROUGHT_BY = {
    "functions_framework": "functions-framework",
    "google.cloud.secretmanager": "google-cloud-secret-manager",
    "google.cloud.secretmanager_v1": "google-cloud-secret-manager",
    "google.cloud.pubsub_v1": "google-cloud-pubsub",
    "google.pubsub_v1": "google-cloud-pubsub",
    "msgspec": "msgspec",
    "phonenumbers": "phonenumberslite",
    "requests": "requests",
    "requests_oauthlib": "requests-oauthlib",
    # Part of those packages' own interfaces, so that their versions are theirs to choose:
    "google.api_core": "google-cloud-pubsub",  # the clients raise its exceptions and take its retries
    "google.auth": "google-cloud-pubsub",  # the clients take its credentials
    "grpc": "google-cloud-pubsub",  # the clients take its channels
    "oauthlib": "requests-oauthlib",  # its client is the signer that requests-oauthlib is given
    "starlette": "functions-framework",  # an aio function is handed its Request and returns its Response
    "urllib3": "requests",  # an adapter of requests manages its connections
}
USED_WITHOUT_AN_IMPORT = {
    "httptools": "uvicorn parses HTTP with it where it is installed",
    "uvloop": "uvicorn runs on it where it is installed",
}


@dataclass(frozen=True, slots=True)
class Pin:
    requirement: Requirement
    hashes: frozenset[str]

    @property
    def version(self) -> str:
        (only,) = self.requirement.specifier
        assert only.operator == "=="
        return only.version


def pins(lock_file: str) -> dict[str, list[Pin]]:
    """Read a lock file, refusing whatever is neither a comment nor a pinned requirement with its hashes."""
    text = (ROOT / lock_file).read_text(encoding="utf-8")
    found: dict[str, list[Pin]] = {}
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.strip().startswith("#"):
            continue
        pin, *hashes = line.split(" --hash=")
        assert hashes, f"{lock_file}: no hash in {line[:60]!r}"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", one) for one in hashes), line[:60]
        requirement = Requirement(pin)
        found.setdefault(canonicalize_name(requirement.name), []).append(
            Pin(requirement, frozenset(one.strip() for one in hashes))
        )
    return found


def direct() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    written = [line.partition("#")[0].strip() for line in lines]
    return {canonicalize_name(one.name): one for one in map(Requirement, filter(None, written))}


def project() -> dict[str, list[str]]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": table["dependencies"], **table["optional-dependencies"]}


def brought_by(import_name: str) -> str:
    parts = import_name.split(".")
    for length in range(len(parts), 0, -1):
        if name := BROUGHT_BY.get(".".join(parts[:length])):
            return name
    return ""


def third_party_imports() -> set[str]:
    own = ("xcapi_core", "main")
    names = {name for module in deployed_modules() for name in imports_of(module)}
    tops = {name: name.partition(".")[0] for name in names}
    return {name for name, top in tops.items() if top not in own and top not in sys.stdlib_module_names}


def closure() -> set[str]:
    """Return requirements.in and, through the installed packages' own metadata, all that they need here."""
    seen: set[tuple[str, str]] = set()
    waiting = [(one, extra) for one in direct().values() for extra in ("", *one.extras)]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen or (not extra and requirement.marker and not requirement.marker.evaluate()):
            continue
        seen.add((name, extra))
        for needed in map(Requirement, requires(name) or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                bare = Requirement(str(needed).partition(";")[0])
                waiting += [(bare, one) for one in ("", *needed.extras)]
    return {name for name, _ in seen}


def test_every_direct_requirement_is_imported_by_the_function_or_argued() -> None:
    used = {brought_by(name) for name in third_party_imports()}
    assert set(direct()) == (used - {""}) | set(USED_WITHOUT_AN_IMPORT)


def test_everything_the_function_imports_is_brought_by_a_direct_requirement() -> None:
    assert not [name for name in third_party_imports() if brought_by(name) not in direct()]


def test_each_direct_requirement_has_its_reason_beside_it() -> None:
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    assert all("#" in line for line in lines if line.strip())


def test_project_depends_on_what_the_function_depends_on() -> None:
    assert sorted(map(str, map(Requirement, project()[""]))) == sorted(map(str, direct().values()))


def test_function_lock_is_the_closure_of_requirements_in_and_nothing_else() -> None:
    here = {
        name
        for name, entries in pins("requirements.txt").items()
        if any(pin.requirement.marker is None or pin.requirement.marker.evaluate() for pin in entries)
    }
    assert here == closure()


@pytest.mark.parametrize("lock_file", LOCK_FILES)
def test_lock_names_no_place_of_the_machine_that_made_it(lock_file: str) -> None:
    text = (ROOT / lock_file).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"(?m)^\s*--?(?!hash=)\w", text), "an option: an index, a folder, another file"
    assert not re.search(r"(?m)(^|\s)/\w", text), "an absolute path"
    assert text.startswith("# This file was autogenerated by uv via the following command:\n#    make lock\n")


def test_locked_versions_are_what_was_asked_for() -> None:
    locked = pins("requirements.txt")
    for name, requirement in direct().items():
        assert all(requirement.specifier.contains(pin.version) for pin in locked[name]), name


def test_development_lock_holds_the_function_lock_unchanged() -> None:
    function, development = pins("requirements.txt"), pins("requirements-dev.txt")
    # Not the markers: a development tool may want one of them on a further platform.
    assert {name: _locked(development.get(name, [])) for name in function} == {
        name: _locked(locked) for name, locked in function.items()
    }


def _locked(locked: list[Pin]) -> list[tuple[str, frozenset[str]]]:
    return [(pin.version, pin.hashes) for pin in locked]


@pytest.mark.parametrize("extra", ["cli", "sandbox", "dev"])
def test_development_lock_holds_every_extra(extra: str) -> None:
    locked = pins("requirements-dev.txt")
    for requirement in map(Requirement, project()[extra]):
        if requirement.name == "xcapi":
            continue
        entries = locked[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(pin.version) for pin in entries), requirement.name


def test_function_lock_has_nothing_of_the_terminal_or_of_the_tests() -> None:
    assert not {"rich", "hypothesis", "mypy", "pytest", "ruff", "hatchling"} & set(pins("requirements.txt"))


def test_every_direct_dependency_has_its_reason_in_the_record() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    direct = {canonicalize_name(Requirement(line).name) for line in [*project["dependencies"], *extras]} - {"xcapi"}
    record = (ROOT / "docs" / "adr" / "0003-dependencies.md").read_text(encoding="utf-8")
    # The stubs of types are named by what they are for.
    assert not {name for name in direct if not re.search(rf"\b{name.removeprefix('types-')}\b", record)}
