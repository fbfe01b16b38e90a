"""The commands that talk to Pub/Sub: Google's emulator, and topics of each test's own in it."""

from pathlib import Path

import pytest

from tests.cli.queues import PROJECT, Queues
from tests.services import emulator
from xcapi_core.cli.dlq import sweeping
from xcapi_core.cli.google.clients import new_publisher, new_subscriber
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["emulator"]


@pytest.fixture
def queues(emulator: PubsubEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Queues:
    """Give topics of one's own, in a folder of one's own; nothing new for one second is the end of them."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
    monkeypatch.delenv("XCAPI_CONFIG", raising=False)
    monkeypatch.delenv("XCAPI_CONFIG_FILE", raising=False)
    monkeypatch.setattr(sweeping, "SILENCE_S", 1.0)
    monkeypatch.chdir(tmp_path)
    return Queues.make(new_publisher(), new_subscriber())
