"""A secret's payload → credentials, through the cache."""

import re
from collections.abc import Hashable

import msgspec

from tests.fuzz.inputs import joined, parted
from tests.fuzz.logged import LogTap
from tests.fuzz.mutation import Words
from tests.fuzz.planted import SECRETS, assert_discreet
from tests.virtual_time import VirtualLoop
from xcapi_core.x_api.credential_cache import CredentialCache, CredentialsUnavailable, Secret
from xcapi_core.x_api.credentials import Credentials, CredentialsError, OAuth1Keys, PixelToken, read_credentials

__all__ = ["Secrets"]

_KEYS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
_WORDS = Words(
    names=(*_KEYS, "pixel_token", "token", "Consumer_Key"),
    values=(*SECRETS, f" {SECRETS[0]}\n", f"{SECRETS[1]}\x00", f"{SECRETS[0]}é", "ck", "a b"),
    head={},
)
# All that a refusal may say: our words and the names of our own keys.
_REFUSAL = re.compile(
    r"the secret (?:is no JSON|is JSON, but no object|lacks a usable (?:(?:, )?(?:" + "|".join(_KEYS) + r"))+)"
    r"; expected \{[a-z_, ]+\} or \{pixel_token\}, each a text"
)


class _Reader:
    def __init__(self) -> None:
        self.payload = b""

    async def read(self, reference: str) -> Secret:
        return Secret(payload=self.payload, version=f"{reference}/versions/1")


class Secrets:
    """Reads one payload."""

    name = "secrets"
    words = _WORDS

    def __init__(self) -> None:
        self._loop = VirtualLoop()
        self._reader = _Reader()

    def seeds(self) -> list[bytes]:
        """Return usable payloads of both kinds, and what people put there instead."""
        keys = dict(zip(_KEYS, (SECRETS[0], *SECRETS, "ats"), strict=True))
        documents: list[object] = [keys, {"pixel_token": SECRETS[1]}, {**keys, "pixel_token": SECRETS[1]}, [keys]]
        documents += [{name: value for name, value in keys.items() if name != left_out} for left_out in keys]
        documents += [SECRETS[0], None, {}, {"pixel_token": f" {SECRETS[1]}\n"}, dict.fromkeys(keys)]
        payloads = [msgspec.json.encode(document) for document in documents]
        return [joined({}, payload) for payload in (*payloads, b"", SECRETS[0].encode(), b"ck:cs:at:ats", b"\xff{")]

    def run(self, data: bytes, log: LogTap) -> Hashable:
        """Read it: keys that can travel in a header, or a refusal of our own words."""
        payload = parted(data)[1]
        expected: Credentials | None
        try:
            expected, behaviour = read_credentials(payload), ""
        except CredentialsError as error:
            expected, behaviour = None, str(error)
            assert _REFUSAL.fullmatch(behaviour), f"a refusal in other words: {behaviour!r}"
        found = self._through_the_cache(payload)
        assert found == expected, "the cache reads otherwise"
        assert_discreet("the repr of credentials", repr(found))
        lines = log.lines()
        assert [line["event"] for line in lines] == ["credentials.refreshed" if found else "credentials.unavailable"]
        return behaviour or self._usable(found)

    def _through_the_cache(self, payload: bytes) -> Credentials | None:
        self._reader.payload = payload
        cache = CredentialCache(pixel_id="o8z6j", reference="env:KEYS", reader=self._reader, clock=self._loop.time)
        try:
            return self._loop.run(cache.current(5.0))
        except CredentialsUnavailable:
            return None

    @staticmethod
    def _usable(credentials: Credentials | None) -> str:
        match credentials:
            case OAuth1Keys():
                values = [getattr(credentials, name) for name in _KEYS]
            case PixelToken(pixel_token=token):
                values = [token]
            case _:
                values = []
        for value in values:
            assert value, "an empty key"
            assert all("!" <= character <= "~" for character in value), "a key that no header can carry"
        return type(credentials).__name__
