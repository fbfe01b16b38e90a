"""Keys over time: read once, kept five minutes, renewed after a refusal, served stale, one reader at a time."""

import asyncio

import pytest

from tests.fakes import KEYS, FakeSecrets
from xcapi_core.x_api.credential_cache import (
    KEPT_S,
    RENEW_EVERY_S,
    STALE_AFTER_S,
    CredentialCache,
    CredentialsUnavailable,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.secrets = FakeSecrets()
        self.cache = CredentialCache(pixel_id="o8z6j", reference="env:KEYS", reader=self.secrets, clock=self.clock)


async def test_keys_are_read_once_and_kept_five_minutes() -> None:
    rig = Rig()
    first = await rig.cache.current(1)
    rig.clock.now += KEPT_S - 1
    assert await rig.cache.current(1) is first
    rig.clock.now += 2
    assert await rig.cache.current(1) is not first
    assert rig.secrets.reads == 2


async def test_one_reader_at_a_time_serves_everybody() -> None:
    rig = Rig()
    keys = await asyncio.gather(*(rig.cache.current(1) for _ in range(50)))
    assert rig.secrets.reads == 1
    assert len({id(key) for key in keys}) == 1


async def test_stale_keys_are_served_while_secret_manager_is_down_and_it_is_not_asked_by_everybody() -> None:
    rig = Rig()
    keys = await rig.cache.current(1)
    rig.secrets.payload = None
    rig.clock.now += KEPT_S + 1
    for _ in range(10):
        assert await rig.cache.current(1) is keys
    assert rig.secrets.reads == 2
    rig.secrets.payload = KEYS
    rig.clock.now += 31
    assert await rig.cache.current(1) is not keys


async def test_stale_keys_are_served_when_secret_manager_hangs() -> None:
    rig = Rig()
    keys = await rig.cache.current(1)
    rig.secrets.released = asyncio.Event()
    rig.clock.now += KEPT_S + 1
    assert await rig.cache.current(0.02) is keys


async def test_without_any_keys_there_is_nothing_to_sign_with() -> None:
    rig = Rig()
    rig.secrets.payload = None
    with pytest.raises(CredentialsUnavailable):
        await rig.cache.current(1)
    with pytest.raises(CredentialsUnavailable):
        await rig.cache.current(1)
    assert rig.secrets.reads == 1, "a short pause holds between two vain attempts"
    rig.secrets.payload = KEYS
    rig.clock.now += 1.1
    await rig.cache.current(1)


async def test_a_read_that_takes_too_long_is_given_up_and_serves_later_deliveries() -> None:
    rig = Rig()
    rig.secrets.released = asyncio.Event()
    with pytest.raises(CredentialsUnavailable):
        await rig.cache.current(0.01)
    rig.secrets.released.set()
    await rig.cache.current(1)
    assert rig.secrets.reads == 1


async def test_renewal_reads_afresh_but_once_in_30_seconds() -> None:
    rig = Rig()
    refused = await rig.cache.current(1)
    renewed = await rig.cache.renew(refused, 1)
    assert renewed is not None
    assert renewed is not refused
    assert await rig.cache.renew(renewed, 1) is None
    rig.clock.now += RENEW_EVERY_S + 1
    assert await rig.cache.renew(renewed, 1) is not None
    assert rig.secrets.reads == 3


async def test_batches_refused_at_the_same_time_share_one_renewal() -> None:
    rig = Rig()
    refused = await rig.cache.current(1)
    renewed = await asyncio.gather(*(rig.cache.renew(refused, 1) for _ in range(4)))
    assert len({id(keys) for keys in renewed}) == 1
    assert renewed[0] is not None
    assert await rig.cache.renew(refused, 1) is renewed[0], "somebody else's renewal counts"
    assert rig.secrets.reads == 2


async def test_renewal_while_secret_manager_is_down_says_so_instead_of_blaming_the_keys() -> None:
    rig = Rig()
    refused = await rig.cache.current(1)
    rig.secrets.payload = None
    with pytest.raises(CredentialsUnavailable):
        await rig.cache.renew(refused, 1)


async def test_payload_that_holds_no_keys_is_like_none(capfd: pytest.CaptureFixture[str]) -> None:
    rig = Rig()
    rig.secrets.payload = b'{"consumer_key":"hunter2"}'
    with pytest.raises(CredentialsUnavailable):
        await rig.cache.current(1)
    line = capfd.readouterr().out
    assert "credentials.unavailable" in line
    assert "access_token_secret" in line
    assert "hunter2" not in line


async def test_renewal_that_failed_leaves_it_open_whether_refused_keys_are_wrong() -> None:
    rig = Rig()
    keys = await rig.cache.current(1)
    rig.clock.now += 1
    rig.secrets.payload = None
    for _ in range(2):
        with pytest.raises(CredentialsUnavailable):
            await rig.cache.renew(keys, 1)
    assert rig.secrets.reads == 2
    rig.secrets.payload = KEYS
    rig.clock.now += RENEW_EVERY_S
    renewed = await rig.cache.renew(keys, 1)
    assert renewed is not None
    assert await rig.cache.renew(renewed, 1) is None


async def test_who_comes_while_secret_manager_hangs_does_not_wait_anew() -> None:
    rig = Rig()
    keys = await rig.cache.current(1)
    rig.secrets.released = asyncio.Event()
    rig.clock.now += KEPT_S + 1
    assert await rig.cache.current(0.02) is keys
    rig.clock.now += STALE_AFTER_S
    async with asyncio.timeout(1):
        assert await rig.cache.current(30) is keys
