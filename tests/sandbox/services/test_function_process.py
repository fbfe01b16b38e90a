"""FunctionProcess: the Functions Framework really runs here, with a stub in place of the real function."""

import gc
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from xcapi_core.sandbox.services import function_process
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.http_probe import answers_ok

STUB = Path(__file__).parent / "stub_function"
# The test's own environment has the framework too; what the function's own holds is function_venv's business.
VENV = FunctionVenv(folder=Path(sys.prefix))


def asked(process: FunctionProcess) -> dict[str, Any]:
    with urllib.request.urlopen(process.url, timeout=60) as answer:  # noqa: S310 - http on loopback
        document: dict[str, Any] = json.load(answer)
        return document


def test_function_sees_its_configuration_and_nothing_of_the_callers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/leak")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/leak.json")
    with FunctionProcess(
        VENV, {"pixels": {}}, source=STUB, pubsub_address="127.0.0.1:1", secret_manager_address="127.0.0.1:2"
    ) as process:
        answer = asked(process)
    environment = answer["environment"]
    assert json.loads(environment["XCAPI_CONFIG"]) == {"pixels": {}}
    assert environment["PUBSUB_EMULATOR_HOST"] == "127.0.0.1:1"
    assert environment["SECRET_MANAGER_EMULATOR_HOST"] == "127.0.0.1:2"
    assert environment["GOOGLE_CLOUD_PROJECT"] == "demo-project"
    assert not {"PYTHONPATH", "GOOGLE_APPLICATION_CREDENTIALS", "VIRTUAL_ENV"} & environment.keys()
    assert "/leak" not in answer["path"]
    assert Path(answer["directory"]) == STUB


def test_users_home_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with FunctionProcess(VENV, {}, source=STUB) as process:
        environment = asked(process)["environment"]
        socket_of_gunicorn = Path(environment["XDG_RUNTIME_DIR"]) / "gunicorn.ctl"
        while not socket_of_gunicorn.exists():  # the suite's own timeout bounds this
            time.sleep(0.01)
    assert environment["HOME"] == str(tmp_path)
    assert not list(tmp_path.iterdir())
    del process
    gc.collect()
    assert not socket_of_gunicorn.parent.exists()


def test_output_is_kept_line_by_line() -> None:
    with FunctionProcess(VENV, {}, source=STUB) as process:
        asked(process)
        entry = process.wait_for_log(lambda entry: entry.get("message") == "stub.called")
        assert entry["severity"] == "INFO"


def test_sigterm_ends_the_process_and_gives_its_exit_code() -> None:
    process = FunctionProcess(VENV, {}, source=STUB)
    process.start()
    assert process.exit_code is None
    assert process.stop(signal.SIGTERM, grace_s=60) == 0
    assert process.exit_code == 0


def test_kill_takes_arbiter_and_worker_at_once() -> None:
    process = FunctionProcess(VENV, {}, source=STUB)
    process.start()
    assert process.kill() == -signal.SIGKILL
    while answers_ok(process.port):  # the suite's own timeout bounds this
        pass


def test_function_that_ends_at_start_is_reported_with_its_last_words() -> None:
    process = FunctionProcess(VENV, {}, source=STUB, extra_environment={"STUB_FAILS": "1"})
    with pytest.raises(LocalServiceError, match=r"ended with exit code 1.*found nothing, expected an object"):
        process.start()


def test_function_that_is_interrupted_at_its_start_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    framework = tmp_path / "bin" / "functions-framework"
    framework.parent.mkdir()
    framework.write_text(f"#!/bin/sh\ntouch '{started}'\nexec sleep 99\n")
    framework.chmod(stat.S_IRWXU)

    def press_ctrl_c(_port: int) -> bool:
        if started.exists():
            os.kill(os.getpid(), signal.SIGINT)
        return False

    monkeypatch.setattr(function_process, "answers_ok", press_ctrl_c)  # while its answer is waited for
    process = FunctionProcess(FunctionVenv(folder=tmp_path), {}, source=STUB)
    with pytest.raises(KeyboardInterrupt), process:
        pytest.fail("it answered, and should not have")
    assert process.exit_code == -signal.SIGKILL


def test_taken_port_is_one_clear_sentence() -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        process = FunctionProcess(VENV, {}, source=STUB, port=port)
        with pytest.raises(LocalServiceError, match=rf"^Port {port} for the function cannot be used .*choose another"):
            process.start()


def test_port_that_another_program_takes_meanwhile_is_exchanged(tmp_path: Path) -> None:
    asked_for, taken = tmp_path / "asked_for", tmp_path / "taken"
    framework = tmp_path / "bin" / "functions-framework"
    framework.parent.mkdir()
    framework.write_text(
        f"#!/bin/sh\nif [ ! -e '{taken}' ]; then\n"
        f"  echo $PORT >'{asked_for}.new'; mv '{asked_for}.new' '{asked_for}'\n"
        f"  while [ ! -e '{taken}' ]; do sleep 0.01; done; exit 1\nfi\n"
        f"exec '{VENV.scripts}/functions-framework' \"$@\"\n"
    )
    framework.chmod(stat.S_IRWXU)
    with socket.socket() as squatter:

        def take_the_port() -> None:
            while not asked_for.exists():
                time.sleep(0.01)
            squatter.bind(("127.0.0.1", int(asked_for.read_text())))
            squatter.listen()
            taken.touch()

        threading.Thread(target=take_the_port, daemon=True).start()
        with FunctionProcess(FunctionVenv(folder=tmp_path), {}, source=STUB) as process:
            assert process.port != squatter.getsockname()[1]
            assert asked(process)["environment"]["PORT"] == str(process.port)


def test_missing_framework_is_one_clear_sentence(tmp_path: Path) -> None:
    process = FunctionProcess(FunctionVenv(folder=tmp_path), {}, source=STUB)
    with pytest.raises(LocalServiceError, match="functions-framework"):
        process.start()
