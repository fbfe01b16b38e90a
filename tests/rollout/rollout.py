"""The module rolled out on this machine: control plane, Terraform's state, X, and what tests do with them."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from tests.e2e.deployment import oauth_payload, token_payload
from tests.e2e.stack import wait_for
from tests.rollout.control_plane.plane import PROJECT, ControlPlane
from tests.rollout.workspace import Workspace, copy_of_the_repository
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.grpc_server import insecure_channel
from xcapi_core.sandbox.services.pubsub import DeadLetter
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["EXISTING_SECRET", "PUBLISHER", "READER", "REGION", "REPLAYER", "Rollout", "rolled_out"]

REGION = "europe-west1"
PUBLISHER = "serviceAccount:shop@other-project.iam.gserviceaccount.com"
READER = "group:analysts@example.com"
REPLAYER = "group:operators@example.com"
EXISTING_SECRET = f"projects/{PROJECT}/secrets/ads-keys"

_VARIABLES: Mapping[str, Any] = {
    "project_id": PROJECT,
    "region": REGION,
    "pixels": {
        "o8z6j": {"event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"}},
        "p9q7k": {"event_ids": {"purchase": "tw-p9q7k-p9q31"}, "secret": "ads-keys"},
    },
    "publishers": [PUBLISHER],
    "dead_letters": {"readers": [READER], "replayers": [REPLAYER]},
    "delivery": {"ack_deadline_s": 28, "max_delivery_attempts": 5, "min_backoff_s": 1, "max_backoff_s": 1},
}


@dataclass(slots=True)
class Rollout:
    """The parts; `letters` collects what has been pulled from the dead-letter subscription."""

    plane: ControlPlane
    workspace: Workspace
    sandbox: SandboxServer
    emulator: PubsubEmulator
    repository: Path
    settings: dict[str, Any]
    dead_letters: list[DeadLetter] = field(default_factory=list)

    @property
    def function(self) -> FunctionProcess:
        """The running instance."""
        (instance,) = self.plane.functions.instances.values()
        return instance

    def publish(self, event: object, *, member: str = PUBLISHER, topic: str = "x-conversions") -> None:
        """Publish as the publisher; text and bytes go as they are."""
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.plane.publish(member, f"projects/{PROJECT}/topics/{topic}", data)

    def collect(self) -> list[DeadLetter]:
        """Pull what waits in the created dead-letter subscription; Pub/Sub's own forwards enter the journal."""
        new = self.emulator.pull(f"projects/{PROJECT}/subscriptions/x-conversions-dead-letter", timeout_s=0.1)
        for dead_letter in new:
            if "xcapi_reason" not in dead_letter.attributes:
                source = dead_letter.attributes["CloudPubSubDeadLetterSourceSubscription"]
                self.plane.pubsub.note_forwarded(f"projects/{PROJECT}/subscriptions/{source}")
        self.dead_letters += new
        return self.dead_letters

    def accepted(self) -> list[str]:
        """Return the conversion ids that X took."""
        return [record["conversion_id"] for record in self.sandbox.accepted()]

    def read_secret(self, account: str, secret: str) -> bytes:
        """Read a secret's newest version as an identity, with Google's own client."""
        address = self.plane.identity(f"serviceAccount:{account}").secret_manager_address
        transport = SecretManagerServiceGrpcTransport(channel=insecure_channel(address))
        client = SecretManagerServiceClient(transport=transport)
        return client.access_secret_version(name=f"{secret}/versions/latest", retry=None, timeout=60).payload.data

    def use_this_module(self) -> None:
        """Put the module as it is now where an older one was."""
        shutil.rmtree(self.repository / "terraform")
        copy_of_the_repository(self.repository)
        self.workspace.set(**{**_VARIABLES, **self.workspace.variables})

    def wait_for_accepted(self, conversion_id: str, *, timeout_s: float = 30) -> None:
        """Wait until X has it."""
        wait_for(lambda: conversion_id in self.accepted(), timeout_s=timeout_s)

    def shell(self, command: str, folder: Path) -> str:
        """Run a command of the documents, as it stands, on this project, with a person who says yes."""
        (folder / "token").write_text("anything")
        (folder / "config.json").write_text(self.workspace.outputs().get("config", ""))  # the module of 0.1 had none
        apis = {"SECRETMANAGER": "secretmanager", "PUBSUB": "pubsub", "LOGGING": "logging"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env={
                **os.environ,
                # xcapi is in the environment that make setup made, which nobody has on PATH by itself.
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PUBSUB_EMULATOR_HOST": self.emulator.address,
                **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"{self.plane.url}/{at}/" for api, at in apis.items()},
                "CLOUDSDK_CORE_PROJECT": PROJECT,
                "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(folder / "token"),
                "CLOUDSDK_CONFIG": str(folder / "gcloud"),
                "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
                "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
                "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
            },
            input="y\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def rolled_out(
    emulator: PubsubEmulator,
    folder: Path,
    environment: Mapping[str, str],
    *,
    apply: bool = True,
    keys: Sequence[str] = (),
    module_of: str | None = None,
    **variables: Any,
) -> Iterator[Rollout]:
    """Apply the module from a copy of the repository; the keys are where somebody will have put them.

    `keys` are KMS keys that exist. `module_of` names a commit whose module is applied instead, on today's source.
    """
    repository = copy_of_the_repository(folder / "repository")
    (folder / "root").mkdir()
    variables = {**_VARIABLES, **variables}
    if module_of:
        _check_out_module(module_of, repository)
        declared = (repository / "terraform" / "variables.tf").read_text(encoding="utf-8")
        variables = {name: value for name, value in variables.items() if f'variable "{name}"' in declared}
    with SandboxServer() as sandbox, ControlPlane(emulator, repository_root() / ".cache") as plane:
        plane.documents.all[EXISTING_SECRET] = {"name": EXISTING_SECRET, "replication": {"automatic": {}}}
        plane.payloads[EXISTING_SECRET] = [token_payload()]
        for key in keys:
            plane.kms.add_key(key)
        settings = {
            "api_base_url": sandbox.url,
            "default_pixel": "o8z6j",
            "request_timeout_s": 2,
            "settle_timeout_s": 8,
        }
        workspace = Workspace(
            folder / "root",
            repository / "terraform",
            {**environment, **plane.environment},
            **variables,
            settings=settings,
        )
        if apply:
            workspace.apply()
        (folder / "keys.json").write_bytes(oauth_payload())
        yield Rollout(plane, workspace, sandbox, emulator, repository, settings)


def _check_out_module(commit: str, repository: Path) -> None:
    """Put a commit's module and runbook into a copy of the repository."""
    shutil.rmtree(repository / "terraform")
    packed = subprocess.run(
        ["git", "-C", str(repository_root()), "archive", commit, "terraform", "docs/operations.md"],
        capture_output=True,
        check=False,
    )
    if packed.returncode:
        # Of the project's own history, so this is skipped even where every component has to be there.
        pytest.skip(f"commit {commit} is not in this clone, which is shallow: `git fetch --unshallow` brings it")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(repository, filter="data")
