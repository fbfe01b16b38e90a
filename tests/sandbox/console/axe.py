"""axe-core, the accessibility checker: npm brings it into .cache on its first use, pinned by its hash."""

import base64
import hashlib
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from selenium import webdriver

from tests.cached_tools import ROOT

__all__ = ["axe_source", "serious_findings"]

_PACKAGE = "axe-core@4.14.1"
_INTEGRITY = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="


def axe_source() -> str | None:
    """Return axe-core's script, or None where npm cannot bring it."""
    kept = ROOT / ".cache" / f"{_PACKAGE.replace('@', '-')}.tgz"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            command = ["npm", "pack", _PACKAGE, "--silent", "--pack-destination", folder]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=100, cwd=folder)
            except (OSError, subprocess.SubprocessError):
                return None
            (packed,) = Path(folder).glob("*.tgz")
            packed.rename(kept)
    content = kept.read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    assert f"sha512-{digest}" == _INTEGRITY, "npm brought another axe-core than the pinned one"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def serious_findings(driver: webdriver.Chrome, source: str) -> list[str]:
    """Return what axe-core finds serious or critical on the page as it is, each with the elements meant."""
    driver.execute_script(source)
    found = driver.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run(document).then((found) => done(found.violations));"
    )
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
