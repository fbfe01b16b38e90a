"""What runs for `xcapi dev`: the sandbox with its console all the while, Pub/Sub and the function anew each run."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from xcapi_core.cli.dev.local_settings import KEYS, KEYS_VARIABLE, replaced
from xcapi_core.cli.local_services import LocalFunction, start
from xcapi_core.sandbox.server import SandboxServer
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.pubsub import DeliveryPath
from xcapi_core.settings import Settings
from xcapi_core.settings.reader import read_settings

__all__ = ["PROJECT", "Stage", "open_stage"]

PROJECT: Final = "local"
_LEAST_ACK_DEADLINE_S: Final = 75
_BACKOFF_S: Final = {"min_backoff_s": 1, "max_backoff_s": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that a run needs. `settings` are the function's own, as it sees them here."""

    sandbox: SandboxServer
    pubsub: EmbeddedPubsub
    function: FunctionProcess
    path: DeliveryPath
    settings: Settings = field(repr=False)


@contextmanager
def open_stage(
    sandbox: SandboxServer,
    local: LocalFunction,
    document: Mapping[str, object],
    settings: Settings,
    on_step: Callable[[str], None],
) -> Iterator[Stage]:
    """Start Pub/Sub and the function beside a running sandbox, and stop them when the block ends.

    A function that has just started remembers nothing that it delivered, so that the same events can be sent again.
    Raises LocalServiceError.
    """
    with ExitStack() as running:
        on_step(EmbeddedPubsub.title)
        pubsub = start(running, EmbeddedPubsub(), "The embedded Pub/Sub")
        path, remainder = _paths(settings, "")
        written = replaced(document, settings, path, remainder, sandbox.url)
        on_step("the function under the Functions Framework")
        function = running.enter_context(
            FunctionProcess(
                local.venv,
                written,
                source=local.source,
                pubsub_address=pubsub.address,
                project=PROJECT,
                extra_environment={KEYS_VARIABLE: KEYS},
            )
        )
        for each in _paths(settings, function.url):
            pubsub.provision(each)
        yield Stage(
            sandbox=sandbox,
            pubsub=pubsub,
            function=function,
            path=path,
            settings=read_settings(json.dumps(written).encode()),
        )


def _paths(settings: Settings, endpoint: str) -> tuple[DeliveryPath, DeliveryPath]:
    """Return the events' path and the remainders', which share the dead-letter topic."""
    deadline_s = max(_LEAST_ACK_DEADLINE_S, int(settings.settle_timeout_s) + 20)
    events = DeliveryPath.named(PROJECT, "x-conversions", endpoint, ack_deadline_s=deadline_s, **_BACKOFF_S)
    remainders = DeliveryPath.named(PROJECT, "x-conversions-remainder", endpoint)
    return events, replace(events, topic=remainders.topic, subscription=remainders.subscription)
