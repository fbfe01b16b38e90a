"""Everything that runs: X, Secret Manager, Pub/Sub, and one life of the function after another."""

import json
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from tests.e2e.deployment import (
    OAUTH_SECRET,
    PROJECT,
    TOKEN_SECRET,
    deployed_configuration,
    oauth_payload,
    token_payload,
)
from tests.soak.clients_view import logged_request
from tests.soak.evidence import Instance, LoggedRequest, SeenDeadLetter
from tests.soak.memory import pss_mb
from tests.soak.plan import MARK
from tests.soak.watched_x import WatchedX
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS, OAuthKeys, SandboxConfig
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.embedded_pubsub import EmbeddedPubsub
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import FunctionVenv, InstallStep
from xcapi_core.sandbox.services.ports import LOOPBACK, free_port
from xcapi_core.sandbox.services.pubsub import DeadLetter, DeliveryPath, LocalPubsub
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["PATH", "Log", "Stage", "open_stage"]

PATH: Final = DeliveryPath.named(PROJECT, "conversions", "http://127.0.0.1:9/")
_NEW_KEYS: Final = OAuthKeys(
    consumer_key=DEMO_OAUTH_KEYS.consumer_key,
    consumer_secret="SoakConsumerSecret0001NotARealSecret00000000000000",
    access_token="1234567890-SoakAccessToken000001NotARealToken0000",
    access_token_secret="SoakAccessTokenSecret01NotARealSecret00000000",
)
_NEW_TOKEN: Final = "soak-pixel-token-p9q7k-rotated-not-a-real-token"
_FOUR: Final = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
_PIXEL_WITH_TOKEN: Final = "p9q7k"
# What has no business in a log: the publishers' people, and every key's "not a real" mark.
_PRIVATE: Final = (MARK, "NotAReal", "not-a-real", "oauth_signature")
# Nothing but a bug writes these.
_ALARMS: Final = (
    "delivery.crashed",
    "batcher.crashed",
    "process.crashed",
    "process.unraisable",
    "thread.crashed",
    "batch.unconfirmed",
    "batch.not_from_x",
)


class Log:
    """What the logs of all instances say, read as each ends."""

    def __init__(self) -> None:
        self.skipped: Counter[int] = Counter()
        self.requests: list[LoggedRequest] = []
        self.events: Counter[str] = Counter()
        self.remainders = 0
        self.handed_over = 0
        self.leaks = 0

    @property
    def alarms(self) -> Mapping[str, int]:
        """The entries that nothing but a bug explains."""
        return {name: self.events[name] for name in _ALARMS if self.events[name]}

    def read(self, lines: list[str]) -> None:
        """Take in one instance's output."""
        skipped: defaultdict[int, int] = defaultdict(int)
        for line in lines:
            self.leaks += any(word in line for word in _PRIVATE)
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if not isinstance(entry, dict):
                continue
            self.events[str(entry.get("event", ""))] += 1
            if request := logged_request(entry):
                self.requests.append(request)
            if entry.get("event") == "remainder.published":
                self.remainders += int(entry["messages"])
                self.handed_over += int(entry["events"])
            count = entry.get("skipped_no_consent")
            message_id = str(entry.get("message_id", ""))
            if count and message_id.isdigit():
                skipped[int(message_id)] += int(count)
        for number, count in skipped.items():
            # Each instance may say it anew; one that says enough is enough.
            self.skipped[number] = max(self.skipped[number], count)


class Stage:
    """The parts, and what can be done to them. The calls block: from an event loop, use a thread."""

    def __init__(
        self, x: WatchedX, secrets: LocalSecretManager, pubsub: LocalPubsub, *, keep_log: Path | None = None
    ) -> None:
        self._keep_log = keep_log
        self.x = x
        self.secrets = secrets
        self.pubsub = pubsub
        self.log = Log()
        self.instances: list[Instance] = []
        self._function: FunctionProcess | None = None
        self._new_function: Callable[[], FunctionProcess] | None = None
        self._born_at = 0.0
        self._lines_read = 0

    @property
    def url(self) -> str:
        """The push endpoint; the same for every instance."""
        return self._running.url

    def memory_mb(self) -> float | None:
        """Return the PSS of the function's two processes."""
        function = self._function
        return pss_mb(function.pid) if function else None

    def new_lines(self) -> list[str]:
        """Return what the present instance wrote since the last call."""
        lines = self._running.lines[self._lines_read :]
        self._lines_read += len(lines)
        return lines

    def begin(self, new_function: Callable[[], FunctionProcess]) -> None:
        """Start the first instance."""
        self._new_function = new_function
        self._start()

    def restart(self, how: Literal["SIGTERM", "kill -9"]) -> None:
        """End the instance, and start another in its place."""
        self._end(how)
        self._start()

    def finish(self) -> None:
        """End the last instance."""
        if self._function is not None:
            self._end("the end")

    def store_new_keys(self) -> None:
        """Let X take a second set of keys beside the first, and put it into Secret Manager."""
        old = {name: getattr(DEMO_OAUTH_KEYS, name) for name in _FOUR}
        new = {name: getattr(_NEW_KEYS, name) for name in _FOUR}
        tokens = [*DEMO_PIXEL_TOKENS[_PIXEL_WITH_TOKEN], _NEW_TOKEN]
        self.x.accept_keys({"oauth": [old, new], "pixel_tokens": {_PIXEL_WITH_TOKEN: tokens}})
        self.secrets.put(OAUTH_SECRET, oauth_payload(_NEW_KEYS))
        self.secrets.put(TOKEN_SECRET, token_payload(_NEW_TOKEN))

    def revoke_old_keys(self) -> None:
        """Let X take the new keys alone."""
        new = {name: getattr(_NEW_KEYS, name) for name in _FOUR}
        self.x.accept_keys({"oauth": [new], "pixel_tokens": {_PIXEL_WITH_TOKEN: _NEW_TOKEN}})

    def take_dead_letters_away(self, *, away: bool) -> None:
        """Let the dead-letter topic be unreachable, or there again; Google's emulator stays."""
        if isinstance(self.pubsub, EmbeddedPubsub):
            self.pubsub.set_down(down=away)

    @property
    def remainders_waiting(self) -> int:
        """How many remainders are not acked; Google's emulator does not tell."""
        return self.pubsub.unacked if isinstance(self.pubsub, EmbeddedPubsub) else 0

    def dead_letters(self) -> list[SeenDeadLetter]:
        """Return what came into the dead-letter topic since the last call."""
        found: list[SeenDeadLetter] = []
        while dead_letters := self.pubsub.pull(PATH.dead_letter_subscription, timeout_s=0.5):
            found += map(_dead_letter, dead_letters)
        return found

    def _start(self) -> None:
        if self._new_function is None:
            raise RuntimeError("begin() comes first")
        self._born_at = time.time()
        self._lines_read = 0
        self._function = self._new_function()
        self._function.start()

    def _end(self, how: Literal["SIGTERM", "kill -9", "the end"]) -> None:
        function = self._running
        if how == "kill -9":
            function.kill()
        else:
            function.stop(signal.SIGTERM, grace_s=60)
        self.instances.append(Instance(self._born_at, time.time(), how))
        self.log.read(function.lines)
        if self._keep_log is not None:
            with self._keep_log.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in function.lines)

    @property
    def _running(self) -> FunctionProcess:
        if self._function is None:
            raise RuntimeError("begin() comes first")
        return self._function


@contextmanager
def open_stage(
    *,
    x: SandboxConfig,
    pubsub: LocalPubsub | None = None,
    keep_log: Path | None = None,
    ack_deadline_s: int = 75,
    on_install: Callable[[InstallStep], None] = lambda _: None,
    **settings: object,
) -> Iterator[Stage]:
    """Run everything; `settings` go into the function's configuration, its output into `keep_log`.

    Raises LocalServiceError with one sentence when a component cannot be had.
    """
    root = repository_root()
    venv = FunctionVenv.prepare(root / "requirements.txt", root / ".cache", on_step=on_install)
    with WatchedX(x) as watched, LocalSecretManager() as secrets, pubsub or EmbeddedPubsub() as topics:
        secrets.put(OAUTH_SECRET, oauth_payload())
        secrets.put(TOKEN_SECRET, token_payload())
        stage = Stage(watched, secrets, topics, keep_log=keep_log)
        port = free_port()
        endpoint = f"http://{LOOPBACK}:{port}/"
        path = replace(PATH, push_endpoint=endpoint, ack_deadline_s=ack_deadline_s, min_backoff_s=1, max_backoff_s=4)
        if not isinstance(topics, EmbeddedPubsub):
            # Google's emulator stops pushing for good after a while where a back-off is set and many pushes are nacked.
            path = replace(path, min_backoff_s=0, max_backoff_s=0)
        topics.provision(path)
        topics.provision(path.remainder())
        stage.begin(
            lambda: FunctionProcess(
                venv,
                deployed_configuration(watched.url, remainder_topic=PATH.remainder().topic, **settings),
                source=root,
                pubsub_address=topics.address,
                secret_manager_address=secrets.address,
                project=PROJECT,
                port=port,
            )
        )
        try:
            yield stage
        finally:
            if stage._function is not None and stage._function.exit_code is None:
                stage._function.kill()


def _dead_letter(found: DeadLetter) -> SeenDeadLetter:
    attributes = found.attributes
    number, index = attributes.get("soak_message", "-1"), attributes.get("xcapi_event_index", "0")
    return SeenDeadLetter(
        event=(int(number), int(index)),
        reason=attributes.get("xcapi_reason", "exhausted"),
        failed_at=_epoch(attributes.get("xcapi_failed_at", "")),
    )


def _epoch(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp() if iso else 0.0
