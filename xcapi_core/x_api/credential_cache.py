"""A pixel's keys over time: read once, kept five minutes, renewed after a refusal, served stale when need be."""

import asyncio
from collections.abc import Callable
from typing import ClassVar, Protocol

import msgspec

from xcapi_core import logs
from xcapi_core.records import Record
from xcapi_core.x_api.credentials import Credentials, CredentialsError, read_credentials

__all__ = ["CredentialCache", "CredentialsUnavailable", "Secret", "SecretReader", "SecretUnavailable"]

KEPT_S = 300.0
# After a refusal the keys are re-read at most this often, so that a revoked key does not hammer Secret Manager.
RENEW_EVERY_S = 30.0
# While Secret Manager is down: how long a delivery waits for fresh keys before the stale ones serve …
STALE_AFTER_S = 2.0
# … and how long it is not asked again. Without any keys every delivery would ask, so a short pause holds there too.
RETRY_STALE_AFTER_S = 30.0
RETRY_MISSING_AFTER_S = 1.0


class Secret(Record, frozen=True, kw_only=True, gc=False):
    """A secret's payload and the version it resolved to, which may be logged."""

    _shown: ClassVar[tuple[str, ...]] = ("version",)

    payload: bytes
    version: str


class SecretUnavailable(Exception):  # noqa: N818 - a state of the world, not a mistake of the caller
    """A secret could not be read. The text is a short cause ("NOT_FOUND", "DEADLINE_EXCEEDED"), nothing secret."""


class CredentialsUnavailable(Exception):  # noqa: N818 - likewise
    """There are no keys to sign with at the moment."""


class SecretReader(Protocol):
    """Reads one secret; bounded in time by the reader itself."""

    async def read(self, reference: str) -> Secret:
        """Return the secret's current payload. Raises SecretUnavailable."""
        ...


class _Held(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    credentials: Credentials
    version: str
    read_at: float


class CredentialCache:
    """The keys of one pixel. However many deliveries want them, one reader at a time asks for them."""

    def __init__(self, *, pixel_id: str, reference: str, reader: SecretReader, clock: Callable[[], float]) -> None:
        self._pixel_id = pixel_id
        self._reference = reference
        self._reader = reader
        self._clock = clock
        self._held: _Held | None = None
        self._reading: asyncio.Task[_Held] | None = None
        self._reading_since = float("-inf")
        self._ask_again_at = float("-inf")
        self._renew_again_at = float("-inf")

    async def current(self, timeout_s: float) -> Credentials:
        """Return the keys to sign with, at most five minutes old unless Secret Manager is down.

        Raises CredentialsUnavailable when there are none within `timeout_s`.
        """
        now = self._clock()
        held = self._held
        if held and (now < held.read_at + KEPT_S or now < self._ask_again_at):
            return held.credentials
        if held:
            # Who comes later does not wait anew: the reading has had its time.
            waited_s = now - self._reading_since if self._reading else 0.0
            try:
                return (await self._read(min(timeout_s, max(0.0, STALE_AFTER_S - waited_s)))).credentials
            except CredentialsUnavailable:
                logs.emit("WARNING", "credentials.stale", pixel_id=self._pixel_id, version=held.version)
                return held.credentials
        if now < self._ask_again_at and not self._reading:
            raise CredentialsUnavailable
        return (await self._read(timeout_s)).credentials

    async def renew(self, refused: Credentials, timeout_s: float) -> Credentials | None:
        """Return keys to try after X refused `refused`; None when they were re-read less than 30 s ago.

        Keys that another delivery renewed meanwhile count as renewed. Raises CredentialsUnavailable when Secret
        Manager could not be asked, or not the last time: then the keys may be wrong or merely old.
        """
        held = self._held
        if held and held.credentials is not refused:
            return held.credentials
        if not self._reading:
            now = self._clock()
            if now < self._renew_again_at:
                if held and held.read_at < self._renew_again_at - RENEW_EVERY_S:
                    # That re-reading failed: the keys may merely be old.
                    raise CredentialsUnavailable
                return None
            self._renew_again_at = now + RENEW_EVERY_S
        return (await self._read(timeout_s)).credentials

    async def _read(self, timeout_s: float) -> _Held:
        if not self._reading:
            self._reading_since = self._clock()
            self._reading = asyncio.create_task(self._read_once())
            # No delivery may be left that takes the exception when it comes.
            self._reading.add_done_callback(self._reading_done)
        done, _ = await asyncio.wait({self._reading}, timeout=timeout_s)
        if not done:
            raise CredentialsUnavailable
        return done.pop().result()

    def _reading_done(self, task: "asyncio.Task[_Held]") -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()

    async def _read_once(self) -> _Held:
        try:
            secret = await self._reader.read(self._reference)
            credentials = read_credentials(secret.payload)
        except (SecretUnavailable, CredentialsError) as error:
            # Both texts are ours and hold nothing secret.
            logs.emit("ERROR", "credentials.unavailable", pixel_id=self._pixel_id, cause=str(error))
            pause = RETRY_STALE_AFTER_S if self._held else RETRY_MISSING_AFTER_S
            self._ask_again_at = self._clock() + pause
            raise CredentialsUnavailable from None
        self._held = _Held(credentials=credentials, version=secret.version, read_at=self._clock())
        logs.emit("INFO", "credentials.refreshed", pixel_id=self._pixel_id, version=secret.version)
        return self._held
