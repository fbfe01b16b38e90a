"""Set-up as a newcomer meets it: the real scripts, in a project of one package, under what goes wrong on machines."""

import hashlib
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

TOOLS = Path(__file__).resolve().parent.parent / "tools"
SH = shutil.which("sh") or "/bin/sh"

# A build backend of its own: an editable install needs one, and these tests need no registry.
BACKEND = """
import base64, hashlib, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    files = {
        "tiny.pth": ".",
        "tiny-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n",
        "tiny-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(wheel_directory + "/tiny-1-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr("tiny-1.dist-info/RECORD", "".join(f"{name},,\\n" for name in files))
    return "tiny-1-py3-none-any.whl"
"""


@dataclass
class Checkout:
    """A copy of tools/ beside a project of one locked package, `answer`, whose wheel lies beside it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    def set_up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command, cwd=self.root, env=self.environment | environment, capture_output=True, text=True, check=False
        )

    @property
    def command(self) -> list[str]:
        return [SH, "tools/python.sh", "tools/bootstrap.py"]

    def lock(self, version: str, digest: str = "") -> None:
        """Make `answer` of this version the one locked package, under its wheel's digest or the given one."""
        wheel = self.root / "wheels" / f"answer-{version}-py3-none-any.whl"
        info = f"answer-{version}.dist-info"
        files = {
            "answer.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: answer\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
            archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in files))
        digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
        (self.root / "requirements-dev.txt").write_text(f"answer=={version} --hash=sha256:{digest}\n")

    def installed(self) -> str:
        probe = [str(self.python), "-c", "import answer; print(answer.VERSION)"]
        return subprocess.run(probe, capture_output=True, text=True, check=True).stdout.strip()


def make_checkout(folder: Path) -> Checkout:
    root = folder / "a checkout"  # with a space, as on many desks
    shutil.copytree(TOOLS, root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "wheels").mkdir()
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "tiny"\nversion = "1"\n'
    )
    (root / "backend.py").write_text(BACKEND)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "XCAPI_"))}
    checkout = Checkout(root)
    checkout.environment = kept | {
        "PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": (root / "wheels").as_uri(),  # a bare path would be split at its space
    }
    checkout.lock("1.0")
    return checkout


def copy_of(checkout: Path, target: Path) -> None:
    """Copy a checkout with its .venv. Of pip's thousand files, which nothing changes, the copy has links."""

    def copied(source: str, destination: str) -> None:
        (os.link if "/site-packages/pip/" in source else shutil.copy2)(source, destination)

    shutil.copytree(checkout, target, symlinks=True, copy_function=copied)


@pytest.fixture(name="checkout")
def fresh_checkout(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path)


@pytest.fixture(name="set_up_once", scope="module")
def checkout_with_its_venv(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = make_checkout(tmp_path_factory.mktemp("ready"))
    first = checkout.set_up()
    assert first.returncode == 0, first.stderr
    assert first.stdout == "", "stdout belongs to the command that follows"
    assert first.stderr.startswith("Installing 1 packages into .venv")
    copy_of(checkout.root, checkout.root.with_name("as it was"))
    return checkout


@pytest.fixture(name="ready")
def checkout_as_its_first_set_up_left_it(set_up_once: Checkout) -> Checkout:
    """Give the checkout after its first set-up, whatever a test did to it: a copy, since a set-up takes seconds."""
    shutil.rmtree(set_up_once.root)
    copy_of(set_up_once.root.with_name("as it was"), set_up_once.root)
    return set_up_once


@pytest.fixture(name="closed_port")
def port_where_nothing_listens() -> Iterator[int]:
    with socket.socket() as bound:  # bound and not listening: nobody else can take it meanwhile
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def stand_in(path: Path, script: str) -> Path:
    """Write an interpreter's stand-in: a shell script, with $REAL for the Python that runs these tests."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{SH}\nREAL='{sys.executable}'\n{script}\n")
    path.chmod(0o755)
    return path


def path_of(folder: Path) -> str:
    """Return a PATH with the stand-ins of `folder` and no Python besides them."""
    for tool in ("env", "uname", "dirname"):
        found = shutil.which(tool)
        if found and not (folder / tool).exists():
            (folder / tool).symlink_to(found)
    return str(folder)


def the_one_sentence(run: subprocess.CompletedProcess[str]) -> str:
    """Return the last line, having checked that it is all there is but for the line that says what goes on."""
    assert run.returncode == 1, run.stderr
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    said = [line for line in run.stderr.splitlines() if not line.startswith("Installing ")]
    assert len(said) == 1, run.stderr
    return said[0]


def test_first_run_installs_the_locked_package_and_the_project(ready: Checkout) -> None:
    assert ready.installed() == "1.0"
    listed = subprocess.run([ready.python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"(?m)^tiny +1 ", listed)


def test_second_run_does_and_says_nothing(ready: Checkout) -> None:
    before = (ready.root / ".venv" / ".xcapi-setup.json").stat().st_mtime_ns
    again = ready.set_up(PIP_FIND_LINKS="/nowhere")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (ready.root / ".venv" / ".xcapi-setup.json").stat().st_mtime_ns == before


def test_changed_requirements_are_installed_over_the_old_ones(ready: Checkout) -> None:
    ready.lock("2.0")
    assert ready.set_up().returncode == 0
    assert ready.installed() == "2.0"


def test_venv_whose_interpreter_is_gone_is_built_anew(ready: Checkout) -> None:
    ready.python.unlink()
    ready.python.symlink_to("/nowhere/python")
    assert ready.set_up().returncode == 0
    assert ready.installed()


def test_venv_of_a_moved_checkout_is_built_anew(ready: Checkout, tmp_path: Path) -> None:
    moved = Checkout(tmp_path / "moved", ready.environment)
    copy_of(ready.root, moved.root)
    assert str(ready.root) in (moved.root / ".venv" / "bin" / "pip").read_text()
    assert moved.set_up().returncode == 0
    assert str(ready.root) not in (moved.root / ".venv" / "bin" / "pip").read_text()


def test_candidate_that_does_not_run_is_passed_over(checkout: Checkout, tmp_path: Path) -> None:
    stand_in(tmp_path / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    stand_in(tmp_path / "python3.12", 'exec "$REAL" "$@"')
    (checkout.root / "probe.py").write_text("print('ran')")
    environment = checkout.environment | {"PATH": path_of(tmp_path), "PYTHON": ""}
    probe = [SH, "tools/python.sh", "probe.py"]
    run = subprocess.run(probe, cwd=checkout.root, env=environment, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("ran\n", "")


OLD = "case $* in *print*) echo 3.9.18;; *) exit 1;; esac"


def test_only_an_old_python_is_told_with_its_version_and_a_remedy(checkout: Checkout, tmp_path: Path) -> None:
    stand_in(tmp_path / "bin" / "python3", OLD)
    sentence = the_one_sentence(checkout.set_up(PATH=path_of(tmp_path / "bin"), PYTHON=""))
    assert sentence.startswith("Python 3.11 or newer is needed, and here is only 3.9.18 (python3):")
    assert "PYTHON=" in sentence


def test_a_really_old_python_is_refused_in_the_same_words(checkout: Checkout, tmp_path: Path) -> None:
    # Where pyenv has one it is the real thing.
    real = sorted(Path.home().glob(".pyenv/versions/3.[6-9].*/bin/python"))
    python = real[0] if real else stand_in(tmp_path / "python3", OLD)
    sentence = the_one_sentence(checkout.set_up(PYTHON=str(python)))
    assert re.match(r"Python 3\.11 or newer is needed, and here is only 3\.\d+\.\d+ \(", sentence)


def test_no_python_at_all(checkout: Checkout, tmp_path: Path) -> None:
    sentence = the_one_sentence(checkout.set_up(PATH=path_of(tmp_path), PYTHON=""))
    assert sentence.startswith("Python 3.11 or newer is needed, and here is none: install it")


def test_named_python_that_does_not_run(checkout: Checkout) -> None:
    sentence = the_one_sentence(checkout.set_up(PYTHON="/nowhere/python3.12"))
    assert sentence == "PYTHON=/nowhere/python3.12 does not run: it should be the path of a Python 3.11 or newer."


# As Debian ships it without python3-venv: the interpreter is whole but for ensurepip.
WITHOUT_ENSUREPIP = """
case $2 in -*) exec "$REAL" "$@";; esac
shift
exec "$REAL" -I -c 'import runpy, sys
sys.modules["ensurepip"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""


def test_python_without_the_venv_module_names_the_package_to_install(checkout: Checkout, tmp_path: Path) -> None:
    python = stand_in(tmp_path / "python3", WITHOUT_ENSUREPIP)
    sentence = the_one_sentence(checkout.set_up(PYTHON=str(python)))
    assert f"`apt install python{sys.version_info.major}.{sys.version_info.minor}-venv`" in sentence
    assert not (checkout.root / ".venv").exists()


def test_unreachable_registry(ready: Checkout, closed_port: int) -> None:
    # Another version, in no local folder: pip has to ask the registry.
    (ready.root / "requirements-dev.txt").write_text(f"answer==9.0 --hash=sha256:{'0' * 64}\n")
    mirror = f"http://someone:secret@127.0.0.1:{closed_port}/simple"
    run = ready.set_up(PIP_NO_INDEX="0", PIP_INDEX_URL=mirror, PIP_FIND_LINKS="")
    sentence = the_one_sentence(run)
    assert sentence.startswith("The package registry cannot be reached: check the network")
    assert "secret" not in run.stderr


def test_package_that_is_not_the_locked_one_is_not_installed(ready: Checkout) -> None:
    ready.lock("2.0", digest="0" * 64)
    sentence = the_one_sentence(ready.set_up())
    assert sentence.startswith("A downloaded package is not the one that requirements-dev.txt names")
    assert ready.installed() == "1.0"


INTERRUPTED = re.compile("Installing .*\n\nSet-up was interrupted and is not complete: run the same command again\\.\n")


def interrupt(checkout: Checkout, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Start a set-up and send it a signal while pip waits for a registry that takes the call and never answers."""
    (checkout.root / "requirements-dev.txt").write_text(f"answer==9.0 --hash=sha256:{'0' * 64}\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = checkout.environment | {
            "PIP_NO_INDEX": "0",
            "PIP_FIND_LINKS": "",
            "PIP_INDEX_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/simple",
        }
        run = subprocess.Popen(
            checkout.command,
            cwd=checkout.root,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        silent.accept()  # pip is at work
        os.killpg(run.pid, number)
        _, stderr = run.communicate()
    return subprocess.CompletedProcess(run.args, run.returncode, "", stderr)


def test_terminated_set_up_says_so(ready: Checkout) -> None:
    run = interrupt(ready, signal.SIGTERM)
    assert run.returncode == 130
    assert INTERRUPTED.fullmatch(run.stderr)


def test_set_up_after_an_interrupted_one_starts_over(ready: Checkout) -> None:
    run = interrupt(ready, signal.SIGINT)
    assert run.returncode == 130
    assert INTERRUPTED.fullmatch(run.stderr)
    left_over = ready.root / ".venv" / "left-over"
    left_over.touch()
    ready.lock("1.0")
    again = ready.set_up()
    assert again.returncode == 0, again.stderr
    assert ready.installed() == "1.0"
    assert not left_over.exists()


# pip's and venv's own last words, as printed under each condition.
PIP_SAYS = {
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": "The disk is full",
    "OSError: [Errno 122] Disk quota exceeded: '/x/.venv/lib'": "The disk is full",
    "WARNING: Retrying (Retry(total=2)) after connection broken by 'NameResolutionError(\"<HTTPSConnection>: Failed to"
    " resolve 'x' ([Errno -3] Temporary failure in name resolution)\")'\nERROR: No matching distribution found for"
    " anyio==4.16.0": "The package registry cannot be reached",
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL:"
    " CERTIFICATE_VERIFY_FAILED] certificate verify failed'))'\nERROR: No matching distribution found for anyio": (
        "The package registry's certificate is not trusted here"
    ),
    "ERROR: HTTP error 403 while getting https://x/anyio.whl": "The package registry cannot be reached",
    "ERROR: No matching distribution found for anyio==4.16.0": "The package registry has no copy",
    "error: command 'gcc' failed: No such file or directory": "A package has no ready-made wheel for this machine",
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x/.venv/lib'": (
        "Set-up may not write to .venv"
    ),
    "Something that pip never said before": "Set-up failed: pip's own words are in .cache/setup.log.",
}


@pytest.mark.parametrize("words", PIP_SAYS)
def test_what_pip_says_becomes_one_sentence(checkout: Checkout, words: str) -> None:
    (checkout.root / ".cache").mkdir()
    failure: Callable[[str], Exception] = runpy.run_path(str(checkout.root / "tools" / "bootstrap.py"))["_failure"]
    sentence = str(failure(words))
    assert sentence.startswith(PIP_SAYS[words])
    assert "\n" not in sentence
