"""`xcapi authorize` against the sandbox's three legs."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.sandboxed import FOUR, SECRETS, configuration, pin_of
from xcapi_core.cli.authorize.legs import oauth_host
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager
from xcapi_core.x_api.credentials import OAuth1Keys, read_credentials

APP = {"consumer_key": DEMO_OAUTH_KEYS.consumer_key, "consumer_secret": DEMO_OAUTH_KEYS.consumer_secret}
SECRET = "projects/my-project/secrets/x-ads-o8z6j"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def app_file(tmp_path: Path) -> Path:
    file = tmp_path / "app.json"
    file.write_text(json.dumps(APP))
    return file


def authorize(
    tmp_path: Path, *arguments: str, pin: str | None = None, answers: str = "", **environ: str
) -> tuple[int, str]:
    """Run the command, open the address that it prints, and give it the page's PIN; return exit code and output."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "xcapi_core", "authorize", *arguments],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])} | environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(answers)
    process.stdin.flush()
    seen = ""
    for line in process.stdout:
        seen += line
        if "/oauth/authorize" in line:
            process.stdin.write(f"{pin or pin_of(line.split()[-1])}\n")
            process.stdin.close()
    return process.wait(200), seen


def test_keys_land_in_a_file_that_only_its_owner_reads(sandbox: SandboxServer, app_file: Path, tmp_path: Path) -> None:
    config, out = configuration(sandbox, tmp_path), tmp_path / "new.json"
    code, seen = authorize(tmp_path, "--app", str(app_file), "--out", str(out), "--config", str(config))
    assert code == 0, seen
    assert "ACCOUNT_ADMIN of 18ce552mlaq" in seen
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    keys = read_credentials(out.read_bytes())
    assert isinstance(keys, OAuth1Keys)
    assert keys.access_token in {one.access_token for one in sandbox.engine.keys.oauth}
    assert keys.access_token != DEMO_OAUTH_KEYS.access_token
    assert not any(secret in seen for secret in (*SECRETS, keys.access_token, keys.access_token_secret))


def test_keys_land_in_secret_manager(sandbox: SandboxServer, app_file: Path, tmp_path: Path) -> None:
    config = configuration(sandbox, tmp_path)
    payloads = {SECRET: [b"old"]}
    with LocalSecretManager(payloads) as manager:
        environ = {"SECRET_MANAGER_EMULATOR_HOST": manager.address}
        arguments = ("--app", str(app_file), "--secret", SECRET, "--config", str(config))
        code, seen = authorize(tmp_path, *arguments, **environ)
    assert code == 0, seen
    assert f"{SECRET}/versions/2" in seen
    assert isinstance(read_credentials(payloads[SECRET][1]), OAuth1Keys)


def test_secret_that_is_not_there_is_told_with_what_to_do(
    sandbox: SandboxServer, app_file: Path, tmp_path: Path
) -> None:
    config = configuration(sandbox, tmp_path)
    with LocalSecretManager({}) as manager:
        environ = {"SECRET_MANAGER_EMULATOR_HOST": manager.address}
        arguments = ("--app", str(app_file), "--secret", SECRET, "--config", str(config))
        code, seen = authorize(tmp_path, *arguments, **environ)
    assert code == 1
    assert "NOT_FOUND" in seen
    assert "--out FILE" in seen


def test_app_keys_are_asked_for_and_not_echoed(sandbox: SandboxServer, tmp_path: Path) -> None:
    config, out = configuration(sandbox, tmp_path), tmp_path / "new.json"
    answers = f"{APP['consumer_key']}\n{APP['consumer_secret']}\n"
    code, seen = authorize(tmp_path, "--out", str(out), "--config", str(config), answers=answers)
    assert code == 0, seen
    assert APP["consumer_secret"] not in seen


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"permissions": ["AD_VIEWER"]}, "neither AD_MANAGER nor ACCOUNT_ADMIN"),
        ({"ads_api_access": False}, "no access to the Ads API"),
        ({"pixel_ids": ["p9q7k"]}, "the ad account of pixel o8z6j"),
    ],
)
def test_user_without_the_role_gets_no_keys(
    sandbox: SandboxServer, app_file: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    config, out = configuration(sandbox, tmp_path), tmp_path / "new.json"
    sandbox.accept_keys({"oauth": [{part: getattr(DEMO_OAUTH_KEYS, part) for part in FOUR} | change]})
    code, seen = authorize(tmp_path, "--app", str(app_file), "--out", str(out), "--config", str(config))
    assert code == 1
    assert words in seen
    assert "not stored" in seen
    assert not out.exists()


def test_user_of_one_of_several_ad_accounts_gets_keys_and_hears_whose_they_are(
    sandbox: SandboxServer, app_file: Path, tmp_path: Path
) -> None:
    config, out = configuration(sandbox, tmp_path), tmp_path / "new.json"
    document = json.loads(config.read_text())
    document["pixels"]["p9q7k"] = {"credentials": "env:OTHER", "event_ids": {"purchase": "p9q31"}}
    config.write_text(json.dumps({**document, "default_pixel": "o8z6j"}))
    sandbox.accept_keys({"oauth": [{part: getattr(DEMO_OAUTH_KEYS, part) for part in FOUR} | {"pixel_ids": ["p9q7k"]}]})
    code, seen = authorize(tmp_path, "--app", str(app_file), "--out", str(out), "--config", str(config))
    assert code == 0, seen
    assert "is ACCOUNT_ADMIN of 18ce553nmbr, the ad account of pixel p9q7k." in seen
    assert "neither AD_MANAGER nor ACCOUNT_ADMIN of the ad account of pixel o8z6j" in seen
    assert out.exists()


def test_keys_that_do_not_serve_the_pixel_that_reads_the_secret_are_not_stored_there(
    sandbox: SandboxServer, app_file: Path, tmp_path: Path
) -> None:
    config = configuration(sandbox, tmp_path)
    document = json.loads(config.read_text())
    document["pixels"]["o8z6j"]["credentials"] = f"{SECRET}/versions/latest"
    document["pixels"]["p9q7k"] = {"credentials": "env:OTHER", "event_ids": {"purchase": "p9q31"}}
    config.write_text(json.dumps({**document, "default_pixel": "o8z6j"}))
    sandbox.accept_keys({"oauth": [{part: getattr(DEMO_OAUTH_KEYS, part) for part in FOUR} | {"pixel_ids": ["p9q7k"]}]})
    payloads = {SECRET: [b"old"]}
    with LocalSecretManager(payloads) as manager:
        environ = {"SECRET_MANAGER_EMULATOR_HOST": manager.address}
        arguments = ("--app", str(app_file), "--secret", SECRET, "--config", str(config))
        code, seen = authorize(tmp_path, *arguments, **environ)
    assert (code, payloads) == (1, {SECRET: [b"old"]}), seen
    assert "the ad account of pixel o8z6j" in seen


def test_wrong_pin_is_a_sentence(sandbox: SandboxServer, app_file: Path, tmp_path: Path) -> None:
    config, out = configuration(sandbox, tmp_path), tmp_path / "new.json"
    arguments = ("--app", str(app_file), "--out", str(out), "--config", str(config))
    code, seen = authorize(tmp_path, *arguments, pin="1")
    assert (code, out.exists()) == (1, False)
    assert "does not take this PIN" in seen
    assert "Traceback" not in seen


def test_app_that_x_does_not_know_is_a_sentence(sandbox: SandboxServer, app_file: Path, tmp_path: Path) -> None:
    config = configuration(sandbox, tmp_path)
    app_file.write_text(json.dumps({"consumer_key": "wrong", "consumer_secret": "Wonderland"}))
    arguments = ("--app", str(app_file), "--out", "new.json", "--config", str(config))
    code, seen = authorize(tmp_path, *arguments)
    assert code == 1
    assert "consumer key and secret" in seen
    assert "Open this address" not in seen
    assert "Wonderland" not in seen


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--out FILE or --secret"),
        (["--out", "a", "--secret", SECRET], "one of the two"),
        (["--secret", f"{SECRET}/versions/1"], "without a version"),
        (["--out", "app.json"], "not written over"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(
    app_file: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, seen = authorize(tmp_path, "--app", str(app_file), *arguments)
    assert code == 2
    assert words in " ".join(seen.split())


def test_host_of_the_legs_is_x_s_own_for_x() -> None:
    assert oauth_host("https://ads-api.x.com") == "https://api.x.com"
    assert oauth_host("https://ads-api.twitter.com") == "https://api.x.com"
    assert oauth_host("http://127.0.0.1:8089") == "http://127.0.0.1:8089"


@pytest.mark.parametrize("folder", ["no-such-folder", "app.json"])
def test_place_that_cannot_hold_the_keys_is_told_before_anybody_is_asked(
    folder: str, sandbox: SandboxServer, app_file: Path, tmp_path: Path
) -> None:
    config = configuration(sandbox, tmp_path)
    arguments = ["--app", str(app_file), "--out", str(tmp_path / folder / "new.json"), "--config", str(config)]
    exit_code, said = authorize(tmp_path, *arguments)
    assert exit_code == 2
    assert "no folder" in said
    assert "Open this address" not in said


def test_secret_for_which_nobody_is_signed_in_is_told_before_anybody_is_asked(
    sandbox: SandboxServer, app_file: Path, tmp_path: Path
) -> None:
    arguments = ["--app", str(app_file), "--secret", SECRET, "--config", str(configuration(sandbox, tmp_path))]
    exit_code, said = authorize(tmp_path, *arguments, NO_GCE_CHECK="true")
    assert exit_code == 1
    assert "gcloud auth application-default login" in said
    assert "Open this address" not in said


@pytest.mark.parametrize("with_app", [False, True], ids=["for the app's keys", "for the PIN"])
def test_question_that_nobody_answers_ends_with_what_to_do(
    with_app: bool,  # noqa: FBT001 - a case
    sandbox: SandboxServer,
    app_file: Path,
    tmp_path: Path,
) -> None:
    arguments = ["--out", "new.json", "--config", str(configuration(sandbox, tmp_path))]
    done = subprocess.run(
        [sys.executable, "-m", "xcapi_core", "authorize", *arguments, *(["--app", str(app_file)] if with_app else [])],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 2
    what_to_do = "run this in a terminal" if with_app else "give --app FILE"
    assert done.stderr.endswith(f"Nobody is there to answer: {what_to_do}.\n")
    assert not (tmp_path / "new.json").exists()
