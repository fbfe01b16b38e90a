"""`make dist`: one zip with all that a deployment needs, the same bytes from the same commit on any machine.

The function's source lies at its top, as Cloud Functions builds it, with the Terraform module beside it. Contents come
from the commit, not from the folder, so nothing that lies about or that a checkout converted gets in; entries are
sorted, bear one date and one mode, and are stored, since two builds of zlib may compress one text to different bytes.
"""

import hashlib
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Of the package and the module; the rest is named one by one. terraform/source.tf and .gcloudignore leave out the same.
_FOLDERS = ("terraform", "xcapi_core")
_DOCUMENTS = ("CHANGELOG.md", "LICENSE", "docs/deploy.md", "docs/operations.md", "docs/upgrading.md")
_FILES = (*_DOCUMENTS, "main.py", "requirements.txt")
_LEFT_OUT = re.compile(r"xcapi_core/(cli|sandbox)/|xcapi_core/__main__\.py|terraform/(.*/)?(tests/|\.)")
_VERSION = re.compile(rb'^__version__ = "([^"]+)"$', re.MULTILINE)
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
_MODE = 0o100644 << 16
_MADE_ON_UNIX = 3


def main(arguments: list[str]) -> int:
    """Write the zip and its checksum into the folder that is named, `dist` otherwise; print the zip's path."""
    folder = Path(arguments[0]) if arguments else ROOT / "dist"
    try:
        files = _committed()
    except (OSError, subprocess.CalledProcessError) as error:
        told = getattr(error, "stderr", b"") or str(error).encode()
        print(f"A release is made from a commit, and git says: {told.decode().strip()}", file=sys.stderr)
        return 1
    if changed := _git("status", "--porcelain", "--", *_FOLDERS, *_FILES):
        print(f"Not in the release, since not committed:\n{changed.decode()}", end="", file=sys.stderr)
    found = _VERSION.search(files["xcapi_core/__init__.py"])
    if not found:
        print("xcapi_core/__init__.py has no __version__.", file=sys.stderr)
        return 1
    version = found[1].decode()
    archive = folder / f"x-conversions-{version}.zip"
    content = packed({**files, "VERSION": f"{version}\n".encode()})
    folder.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(content)
    checksum = f"{hashlib.sha256(content).hexdigest()}  {archive.name}\n"
    archive.with_name(archive.name + ".sha256").write_text(checksum, encoding="ascii", newline="\n")
    print(archive)
    return 0


def packed(files: Mapping[str, bytes]) -> bytes:
    """Pack the files and SHA256SUMS, which `sha256sum --check` reads, into a zip."""
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    files = {**files, "SHA256SUMS": sums.encode()}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = _MODE
            entry.create_system = _MADE_ON_UNIX
            archive.writestr(entry, files[name])
    return written.getvalue()


def _committed() -> Mapping[str, bytes]:
    listed = _git("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", *_FOLDERS, *_FILES).decode().split("\0")
    return {name: _git("cat-file", "blob", f"HEAD:{name}") for name in listed if name and not _LEFT_OUT.match(name)}


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout  # noqa: S607 - git from PATH


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
