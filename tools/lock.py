"""`make lock`: requirements.in → requirements.txt; pyproject.toml's extras on top → requirements-dev.txt.

Pins stay as they are unless something forbids them; `make lock ARGS=--upgrade` takes the newest of everything.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"  # the one tool that is not in the lock files: it writes them
OLDEST_PYTHON = "3.11"


def main(arguments: list[str]) -> int:
    """Compile both files; the exit code is uv's."""
    home = ROOT / ".cache" / UV.replace("==", "-")
    if not (home / "bin" / "uv").exists():
        print(f"Installing {UV} into {home.relative_to(ROOT)} …", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        pip = [str(home / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", UV]
        if subprocess.run(pip, check=False).returncode:
            return 1
    compile_ = [
        *(str(home / "bin" / "uv"), "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
        *("--python-version", OLDEST_PYTHON, "--custom-compile-command", "make lock"),
        "--system-certs",  # as pip does: a proxy that inspects TLS is known to the machine's store alone
        # Nothing of the machine that compiled them may stand in the files.
        *("--no-emit-index-url", "--no-emit-find-links"),
        *arguments,
    ]
    # The same packages wherever it runs: no mirror's folder of wheels adds its own hashes.
    environment = {name: value for name, value in os.environ.items() if name != "UV_FIND_LINKS"}
    function = [*compile_, "requirements.in", "--output-file", "requirements.txt"]
    everything = [*compile_, "pyproject.toml", "--extra", "dev", "--constraints", "requirements.txt"]
    everything += ["--output-file", "requirements-dev.txt"]
    for command in (function, everything):
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
