"""The function starts from a release's folder, with the packages that the release's own lock file names."""

import zipfile
from pathlib import Path

from tests.e2e.push import event, push, request
from tests.release import make_release
from xcapi_core import __version__
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import FunctionVenv


async def test_a_release_runs_from_where_it_was_unpacked_and_says_its_version(tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(make_release(tmp_path)) as archive:
        archive.extractall(unpacked)
    venv = FunctionVenv.prepare(unpacked / "requirements.txt", repository_root() / ".cache")
    config = {
        "dead_letter_topic": f"file:{tmp_path}/dead-letters.jsonl",
        "pixels": {"o8z6j": {"credentials": f"file:{tmp_path}/keys.json"}},
        "dry_run": True,
    }
    with FunctionProcess(venv, config, source=unpacked) as function:
        summary = (await request(function.url, "GET")).json
        assert isinstance(summary, dict)
        assert summary["version"] == __version__
        assert (await push(function.url, event())).status == 204
