"""The `xcapi` group: help, version, and sentences where something is missing."""

import os
import subprocess
import sys
from pathlib import Path

from xcapi_core import __version__

ROOT = Path(__file__).resolve().parents[2]

# Hides packages from one process, as if the extra had not been installed.
_WITHOUT = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
sys.argv = ["xcapi", *{arguments!r}]
from xcapi_core.cli.__main__ import main
main()
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "xcapi_core", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=ROOT)


def run_without(hidden: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    code = _WITHOUT.format(hidden=hidden, arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False, cwd=ROOT
    )


def test_version() -> None:
    assert run("--version").stdout == f"xcapi, version {__version__}\n"


def test_help_lists_the_commands_and_each_explains_itself() -> None:
    listed = run("--help")
    assert listed.returncode == 0
    for command in ("demo", "sandbox", "validate"):
        assert f"  {command} " in listed.stdout
    explained = run("sandbox", "--help").stdout
    assert all(words in explained for words in ("/sandbox/faults", "/sandbox/keys", "--config", "Exits with 0"))


def test_unknown_command_and_option_are_wrong_usage() -> None:
    assert run("nope").returncode == 2
    assert run("sandbox", "--nope").returncode == 2
    assert run("sandbox", "--port", "65536").returncode == 2


def test_wrong_name_is_answered_with_the_one_that_was_meant() -> None:
    assert "Did you mean validate?" in run("valdate").stderr
    assert "--config" in run("validate", "--confg", "x", "-").stderr
    nothing_near = run("zzzz").stderr
    assert "No such command: zzzz." in nothing_near
    assert "mean" not in nothing_near


def test_shell_completes_commands_and_options() -> None:
    def completions(words: str) -> list[str]:
        environment = {"_XCAPI_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        code = "from xcapi_core.cli.__main__ import main; main()"
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=200,
            check=True,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
        return [line.partition(",")[2] for line in result.stdout.splitlines()]

    assert completions("xcapi val") == ["validate"]
    assert "--config" in completions("xcapi validate --con")


def test_missing_extra_is_one_sentence_that_says_what_to_install() -> None:
    without_click = run_without({"click"}, "--help")
    assert without_click.returncode == 1
    assert without_click.stderr == "xcapi needs its command-line extra: pip install '.[cli,sandbox]', in a checkout\n"
    without_starlette = run_without({"starlette"}, "sandbox")
    assert without_starlette.returncode == 1
    assert without_starlette.stderr == (
        "Error: xcapi sandbox needs the package starlette, which is not installed: "
        "pip install '.[cli,sandbox]', in a checkout\n"
    )


def test_help_needs_no_command_s_libraries() -> None:
    assert run_without({"rich", "starlette", "uvicorn", "oauthlib", "google"}, "--help").returncode == 0
