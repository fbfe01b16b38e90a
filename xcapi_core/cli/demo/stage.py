"""The stage: sandbox, Secret Manager, Pub/Sub and the function, started in order and stopped in order."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from xcapi_core.cli.demo.account import AcceptedConversion
from xcapi_core.cli.demo.story import OAUTH_PIXEL, TOKEN_PIXEL
from xcapi_core.cli.local_services import prepare_function, start
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS, OAuthKeys
from xcapi_core.sandbox.recorder import RequestRecord
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import InstallStep
from xcapi_core.sandbox.services.pubsub import DeliveryPath, LocalPubsub
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["PubsubChoice", "Stage", "open_stage"]

PubsubChoice = Literal["auto", "emulator", "embedded"]

_PROJECT: Final = "demo-project"
_SECRETS: Final = {
    OAUTH_PIXEL: f"projects/{_PROJECT}/secrets/x-ads-{OAUTH_PIXEL}",
    TOKEN_PIXEL: f"projects/{_PROJECT}/secrets/x-ads-{TOKEN_PIXEL}",
}
_RECORD_TIMEOUT_S: Final = 2.0
_FOUR_KEYS: Final = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
_ROTATED_KEYS: Final = OAuthKeys(
    consumer_key=DEMO_OAUTH_KEYS.consumer_key,
    consumer_secret="SandboxConsumerSecret0001NotARealSecret00000000000",  # noqa: S106 - accepted by nobody else
    access_token="1234567890-SandboxAccessToken00001NotARealToken00",  # noqa: S106 - as above
    access_token_secret="SandboxAccessTokenSecret01NotARealSecret00000",  # noqa: S106 - as above
)
_ROTATED_TOKEN: Final = "sandbox-pixel-token-p9q7k-rotated-not-a-real-token"  # noqa: S105 - as above


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that runs."""

    sandbox: SandboxServer
    secret_manager: LocalSecretManager
    pubsub: LocalPubsub
    function: FunctionProcess
    path: DeliveryPath
    notes: tuple[str, ...]

    def rotate_keys(self) -> None:
        """Replace every key, at X and in Secret Manager; the old ones are refused from now on."""
        self.sandbox.accept_keys(
            {
                "oauth": [{name: getattr(_ROTATED_KEYS, name) for name in _FOUR_KEYS}],
                "pixel_tokens": {TOKEN_PIXEL: _ROTATED_TOKEN},
            }
        )
        _store_keys(self.secret_manager, _ROTATED_KEYS, _ROTATED_TOKEN)

    def accepted(self) -> list[AcceptedConversion]:
        """Return what X has accepted."""
        return [
            AcceptedConversion(pixel_id=record["pixel_id"], conversion_id=record["conversion_id"] or "")
            for record in self.sandbox.accepted()
        ]

    def requests_since(self, received_at: float) -> list[RequestRecord]:
        """Return X's requests from an epoch time on, including those of every conversion accepted so far."""
        carriers = {record["request_id"] for record in self.sandbox.accepted()}
        deadline = time.monotonic() + _RECORD_TIMEOUT_S
        # The sandbox writes down a request a moment after the conversions that it carried.
        while carriers - {record.request_id for record in self.sandbox.requests()} and time.monotonic() < deadline:
            time.sleep(0.005)
        return [record for record in self.sandbox.requests() if record.received_at >= received_at]

    def skipped(self, message_ids: Collection[str]) -> int:
        """Return how many events of these messages the function's log says it skipped on purpose."""
        # By message: a redelivery of one says the same once more.
        settled = {
            entry["message_id"]: entry
            for entry in self.function.log_entries
            if entry.get("event") == "delivery.settled" and entry.get("message_id") in message_ids
        }
        return sum(
            count
            for entry in settled.values()
            for name, count in entry.items()
            if name.startswith("skipped_") and isinstance(count, int)
        )


@contextmanager
def open_stage(
    choice: PubsubChoice, *, on_step: Callable[[str], None], on_install: Callable[[InstallStep], None]
) -> Iterator[Stage]:
    """Start everything, and stop it when the block ends; `on_step` hears what is being started.

    Raises LocalServiceError with one sentence when a component cannot be had.
    """
    local = prepare_function(on_install)
    with ExitStack() as running:
        on_step("the sandbox X Conversions API")
        sandbox = start(running, SandboxServer(), "The sandbox")
        on_step("a local Secret Manager")
        secret_manager = start(running, LocalSecretManager(), "The local Secret Manager")
        _store_keys(secret_manager, DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS[TOKEN_PIXEL][0])
        pubsub, notes = _start_pubsub(running, choice, on_step)
        on_step("the function under the Functions Framework")
        path = DeliveryPath.named(_PROJECT, "x-conversions", "", min_backoff_s=1, max_backoff_s=2)
        function = running.enter_context(
            FunctionProcess(
                local.venv,
                _config(sandbox.url, path),
                source=local.source,
                pubsub_address=pubsub.address,
                secret_manager_address=secret_manager.address,
                project=_PROJECT,
            )
        )
        path = DeliveryPath.named(_PROJECT, "x-conversions", function.url, min_backoff_s=1, max_backoff_s=2)
        pubsub.provision(path)
        pubsub.provision(path.remainder())
        yield Stage(
            sandbox=sandbox, secret_manager=secret_manager, pubsub=pubsub, function=function, path=path, notes=notes
        )


def _start_pubsub(
    running: ExitStack, choice: PubsubChoice, on_step: Callable[[str], None]
) -> tuple[LocalPubsub, tuple[str, ...]]:
    reason = PubsubEmulator.available() if choice != "embedded" else None
    if choice == "emulator" or (choice == "auto" and reason is None):
        on_step(PubsubEmulator.title)
        try:
            return running.enter_context(PubsubEmulator()), ()
        except LocalServiceError as error:
            if choice == "emulator":
                raise
            reason = str(error)
    on_step(EmbeddedPubsub.title)
    notes = (f"Pub/Sub is embedded here, Google's emulator was not used: {reason}",) if reason else ()
    return start(running, EmbeddedPubsub(), "The embedded Pub/Sub"), notes


def _config(api_base_url: str, path: DeliveryPath) -> Mapping[str, object]:
    """Return a deployment's configuration, with the sandbox in X's place."""
    return {
        "dead_letter_topic": path.dead_letter_topic,
        "remainder_topic": path.remainder().topic,
        "pixels": {
            OAUTH_PIXEL: {
                "credentials": f"{_SECRETS[OAUTH_PIXEL]}/versions/latest",
                "event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22"},
            },
            TOKEN_PIXEL: {
                "credentials": f"{_SECRETS[TOKEN_PIXEL]}/versions/latest",
                "event_ids": {"purchase": "tw-p9q7k-p9q31", "sign_up": "tw-p9q7k-p9q32"},
            },
        },
        "default_pixel": OAUTH_PIXEL,
        "api_base_url": api_base_url,
    }


def _store_keys(secret_manager: LocalSecretManager, keys: OAuthKeys, pixel_token: str) -> None:
    four = {name: getattr(keys, name) for name in _FOUR_KEYS}
    secret_manager.put(_SECRETS[OAUTH_PIXEL], json.dumps(four).encode())
    secret_manager.put(_SECRETS[TOKEN_PIXEL], json.dumps({"pixel_token": pixel_token}).encode())
