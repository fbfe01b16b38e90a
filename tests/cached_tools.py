"""Tools that few need: pip puts them into .cache on their first use, pinned by hash and out of the lock files."""

import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["ROOT", "installed"]

ROOT = Path(__file__).resolve().parent.parent
_OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes")


def installed(name: str, requirements: Path) -> Path | str:
    """Return the folder that these packages are in, for `sys.path`; else pip's reason why they are not."""
    python = "".join(map(str, sys.version_info[:2]))
    folder = ROOT / ".cache" / f"{name}-{python}"
    stamp = folder / requirements.name
    if stamp.exists() and stamp.read_bytes() == requirements.read_bytes():
        return folder
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        pip = [sys.executable, "-m", "pip", "install", *_OPTIONS, "--target", fresh, "-r", str(requirements)]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        (Path(fresh) / requirements.name).write_bytes(requirements.read_bytes())
        if folder.exists():  # of an older version
            folder.rename(Path(fresh) / "old")
        Path(fresh).rename(folder)
        Path(fresh).mkdir()  # for the context manager to remove
    return folder
