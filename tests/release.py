"""A release of the commit that is checked out, made as `make dist` makes it."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.services import unavailable
from xcapi_core.sandbox.services.checkout import repository_root

__all__ = ["make_release"]


def make_release(folder: Path, *git_options: str) -> Path:
    """Clone into `folder`, make a release there with the tool as it is now, and return the zip's path."""
    root = repository_root()
    if not (root / ".git").exists():
        unavailable("this is no clone, and a release is made of a commit")
    clone = folder / "clone"
    command = ["git", *git_options, "clone", "--quiet", "--no-hardlinks", str(root), str(clone)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copy(root / "tools" / "dist.py", clone / "tools")
    done = subprocess.run(
        [sys.executable, "tools/dist.py"], cwd=clone, check=True, capture_output=True, encoding="utf-8"
    )
    return Path(done.stdout.strip())
