"""gcloud's own tree of commands and flags, which it completes words by."""

import runpy
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.services import unavailable

__all__ = ["assert_gcloud_knows", "gcloud_tree"]


def gcloud_tree() -> Mapping[str, Any]:
    """Return what can be typed; skips the test where there is no gcloud."""
    program = shutil.which("gcloud")
    if program is None:
        unavailable("gcloud is not installed")
    file = Path(program).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
    if not file.exists():
        unavailable("this gcloud does not say which commands it has")
    tree: Mapping[str, Any] = runpy.run_path(str(file))["STATIC_COMPLETION_CLI_TREE"]
    return tree


def assert_gcloud_knows(words: Sequence[str], tree: Mapping[str, Any]) -> None:
    """Assert that a call, without the program's name, has a command and flags that exist."""
    node, known = tree, set(tree["flags"])
    for word in words:
        if word.startswith("--"):
            break
        if word not in node["commands"]:
            assert not node["commands"], f"{word} is no command of gcloud"
            break
        node = node["commands"][word]
        known |= set(node["flags"])
    flags = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert {flag for flag in flags if flag not in known and flag.replace("--no-", "--", 1) not in known} == set()
