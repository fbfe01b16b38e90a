"""`make dist`: the same bytes everywhere, with all that a deployment needs and nothing else."""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.release import make_release
from tests.test_architecture import FILES, UNDEPLOYED, deployed_modules
from xcapi_core import __version__
from xcapi_core.sandbox.services.checkout import repository_root

ROOT = repository_root()


@pytest.fixture(name="release", scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("release"))


def names_in(release: Path) -> list[str]:
    with zipfile.ZipFile(release) as archive:
        return archive.namelist()


def test_two_machines_make_the_same_bytes_of_one_commit(release: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        other = make_release(tmp_path, "-c", "core.autocrlf=true", "-c", "core.symlinks=false")
    finally:
        os.umask(before)
    assert other.read_bytes() == release.read_bytes()
    # Nothing is left to the zip's compressor, nor to clock and permissions.
    with zipfile.ZipFile(release) as archive:
        entries = archive.infolist()
    assert {(entry.compress_type, entry.date_time, entry.external_attr >> 16) for entry in entries} == {
        (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o100644)
    }
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_what_is_not_committed_is_named_and_left_out(release: Path) -> None:
    clone = release.parents[1]
    stray = clone / "xcapi_core" / "stray.py"
    stray.write_text("")
    try:
        done = subprocess.run([sys.executable, "tools/dist.py", "other"], cwd=clone, capture_output=True, check=True)
        assert b"xcapi_core/stray.py" in done.stderr
        assert (clone / done.stdout.decode().strip()).read_bytes() == release.read_bytes()
    finally:
        stray.unlink()


def test_outside_of_a_clone_it_says_why_there_is_no_release(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "dist.py").write_bytes((ROOT / "tools" / "dist.py").read_bytes())
    command = [sys.executable, str(tmp_path / "tools" / "dist.py")]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"A release is made from a commit, and git says: .*not a git repository.*\n", done.stderr)


def test_every_file_has_its_checksum_and_the_zip_has_one_beside_it(release: Path) -> None:
    with zipfile.ZipFile(release) as archive:
        lines = archive.read("SHA256SUMS").decode().splitlines()
        sums = {name: told for told, _, name in (line.partition("  ") for line in lines)}
        assert {*sums, "SHA256SUMS"} == set(archive.namelist())
        assert all(hashlib.sha256(archive.read(name)).hexdigest() == told for name, told in sums.items())
    beside = release.with_name(release.name + ".sha256").read_text().split()
    assert beside == [hashlib.sha256(release.read_bytes()).hexdigest(), release.name]


def test_it_holds_what_is_deployed_the_module_licence_and_version_and_no_more(release: Path) -> None:
    names = names_in(release)
    python = {str(FILES[module].relative_to(ROOT)) for module in deployed_modules()}
    assert {name for name in names if name.endswith(".py")} == python
    module = {str(path.relative_to(ROOT)) for path in (ROOT / "terraform").glob("*.tf")}
    assert module | {"LICENSE", "VERSION", "SHA256SUMS", "requirements.txt", "xcapi_core/py.typed"} <= set(names)
    assert not [name for name in names if "tests/" in name or "/." in name]
    assert not [name for name in names if name.replace("/", ".").startswith(UNDEPLOYED)]


def test_the_version_stands_in_one_place_and_documents_name_that_one(release: Path) -> None:
    assert release.name == f"x-conversions-{__version__}.zip"
    with zipfile.ZipFile(release) as archive:
        assert archive.read("VERSION").decode() == f"{__version__}\n"
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "terraform" / "README.md"]
    text = "".join(document.read_text(encoding="utf-8") for document in documents)
    assert set(re.findall(r"(?:x-conversions-|\?ref=v)(\d+\.\d+\.\d+)", text)) == {__version__}


def test_links_of_its_documents_lead_to_files_that_it_has(release: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(release) as archive:
        archive.extractall(tmp_path)
    readme = (tmp_path / "terraform" / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?://)([^)#\s]+)", readme)
    assert linked
    assert [target for target in linked if not (tmp_path / "terraform" / target).exists()] == []
