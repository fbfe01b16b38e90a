"""Who sends this request? OAuth 1.0a, verified by oauthlib's server side, or the pixel token."""

# ruff: noqa: D102 - the validator's methods are oauthlib's, and described there

import hmac
import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Literal

from oauthlib.common import Request
from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint

from xcapi_core.sandbox.config import KeyRing, OAuthKeys

__all__ = ["AuthKind", "Authentication", "KeysValidator", "NonceStore", "authenticate"]

AuthKind = Literal["oauth1", "pixel_token", "none"]

_NO_SUCH_CLIENT: Final = "no-such-consumer-key"
_NO_SUCH_TOKEN: Final = "no-such-access-token"  # noqa: S105  a placeholder that no request can name
_NO_SECRET: Final = "no-secret"  # noqa: S105  as above


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """Who sent a request. `refused_because` is empty for a good one; X never says it, the sandbox's log does."""

    kind: AuthKind
    keys: OAuthKeys | None = field(default=None, repr=False)
    refused_because: str = ""


class NonceStore:
    """The nonces seen of late (RFC 5849 section 3.3): a request that comes twice is refused the second time.

    Holds digests of (consumer key, access token, timestamp, nonce), at most `capacity` of them; the oldest go first,
    and would be refused for their timestamp by then.
    """

    def __init__(self, capacity: int = 400_000) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def holds(self, parts: Iterable[str]) -> bool:
        """Say whether this very combination was used before."""
        return _digest(parts) in self._seen

    def add(self, parts: Iterable[str]) -> None:
        """Remember a combination as used."""
        self._seen[_digest(parts)] = None
        if len(self._seen) > self._capacity:
            self._seen.popitem(last=False)


def _digest(parts: Iterable[str]) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).digest()


def authenticate(
    *,
    url: str,
    method: str,
    headers: Mapping[str, str],
    pixel_id: str,
    keys: KeyRing,
    nonces: NonceStore,
    now: float,
    tolerance_s: float = 300.0,
) -> Authentication:
    """Find out who signed a request, or why nobody did.

    `headers` have lower-case names; `url` is the one that the client signed for. An accepted request's nonce is
    remembered in `nonces`, that of a refused one is not.
    """
    authorization = headers.get("authorization", "")
    if authorization.lower().startswith("oauth "):
        return _verify_oauth(KeysValidator(keys, nonces, now, tolerance_s), url, method, authorization)
    token = headers.get("x-pixel-token")
    if token is None:
        reason = "no OAuth Authorization header and no X-Pixel-Token"
        if authorization:
            reason = "the Authorization header is not of the OAuth 1.0a kind, and there is no X-Pixel-Token"
        return Authentication(kind="none", refused_because=reason)
    if any(_same(token, accepted) for accepted in keys.pixel_tokens.get(pixel_id, ())):
        return Authentication(kind="pixel_token")
    return Authentication(kind="pixel_token", refused_because="the pixel token is not one of this pixel's")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())


def _verify_oauth(validator: "KeysValidator", url: str, method: str, authorization: str) -> Authentication:
    # Only the Authorization header: with a content type, oauthlib would read a form body into the base string,
    # and X's JSON body is not part of it (RFC 5849 section 3.4.1.3.1).
    signed = {"Authorization": authorization}
    try:
        valid, request = SignatureOnlyEndpoint(validator).validate_request(url, method, "", signed)
    except ValueError:
        # oauthlib lets a badly escaped header or query through to its parsers.
        return Authentication(kind="oauth1", refused_because="the Authorization header or the query cannot be read")
    if request is None or not request.signature_method:
        return Authentication(kind="oauth1", refused_because="OAuth parameters are missing or given twice")
    matching = validator.matching(request.client_key, request.resource_owner_key)
    if valid and matching is not None:
        validator.use_nonce(request)
        return Authentication(kind="oauth1", keys=matching)
    return Authentication(kind="oauth1", refused_because=_explain(request, validator, url))


def _explain(request: Request, validator: "KeysValidator", url: str) -> str:
    """Say in the sandbox's log what X leaves its users to find out."""
    if request.signature_method not in validator.allowed_signature_methods:
        return "the signature method is not HMAC-SHA1"
    if validator.refused_because:
        return validator.refused_because
    if "signature" not in request.validator_log:
        return "OAuth parameters are missing or malformed"
    if not request.validator_log["client"]:
        return "the consumer key is not known"
    if validator.matching(request.client_key, request.resource_owner_key) is None:
        return "the access token is not known, or belongs to another consumer key"
    without_query = url.split("?", 1)[0]
    return (
        f"the signature does not match: check both secrets, that the URL signed is {without_query}, "
        "and that the JSON body is not part of the base string"
    )


class KeysValidator(RequestValidator):
    """oauthlib's view of one request: the keys that X knows now, the clock, and the nonces used."""

    def __init__(self, keys: KeyRing, nonces: NonceStore, now: float, tolerance_s: float) -> None:
        super().__init__()
        self._keys = keys
        self._nonces = nonces
        self._now = now
        self._tolerance_s = tolerance_s
        self.refused_because = ""

    @property
    def allowed_signature_methods(self) -> tuple[str, ...]:
        return ("HMAC-SHA1",)

    @property
    def enforce_ssl(self) -> bool:
        # The sandbox speaks plain HTTP on loopback.
        return False

    @property
    def timestamp_lifetime(self) -> int:
        # oauthlib would ask the system's clock; the clock is ours to say, in validate_timestamp_and_nonce.
        return sys.maxsize

    @property
    def dummy_client(self) -> str:
        return _NO_SUCH_CLIENT

    @property
    def dummy_access_token(self) -> str:
        return _NO_SUCH_TOKEN

    def check_client_key(self, client_key: str) -> bool:
        # oauthlib's lengths and alphabet are its own; X's tokens have a hyphen and up to 50 characters.
        return bool(client_key)

    def check_nonce(self, nonce: str) -> bool:
        return bool(nonce)

    def validate_timestamp_and_nonce(  # noqa: PLR0917  oauthlib's signature
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Request,
        request_token: str | None = None,  # noqa: ARG002  oauthlib's signature
        access_token: str | None = None,  # noqa: ARG002  oauthlib's signature
    ) -> bool:
        off_s = self._now - int(timestamp)
        if abs(off_s) > self._tolerance_s:
            when = "ago" if off_s > 0 else "ahead"
            self.refused_because = f"the timestamp is {abs(off_s):.0f} s {when}: the client's clock is off"
        elif self._nonces.holds((client_key, request.resource_owner_key or "", timestamp, nonce)):
            self.refused_because = "the nonce was used before: every request needs a signature of its own"
        return not self.refused_because

    def validate_client_key(self, client_key: str, request: Request) -> bool:  # noqa: ARG002  oauthlib's signature
        return self.knows_client(client_key)

    def get_client_secret(self, client_key: str, request: Request) -> str:  # noqa: ARG002  oauthlib's signature
        return next((k.consumer_secret for k in self._keys.oauth if k.consumer_key == client_key), _NO_SECRET)

    def get_access_token_secret(self, client_key: str, token: str, request: Request) -> str:  # noqa: ARG002  as above
        found = self.matching(client_key, token)
        return found.access_token_secret if found else _NO_SECRET

    def knows_client(self, client_key: str | None) -> bool:
        """Say whether an app has this consumer key."""
        return any(k.consumer_key == client_key for k in self._keys.oauth)

    def use_nonce(self, request: Request) -> None:
        """Remember an accepted request's nonce."""
        token = request.resource_owner_key or ""
        self._nonces.add((request.client_key or "", token, request.timestamp or "", request.nonce or ""))

    def matching(self, client_key: str | None, token: str | None) -> OAuthKeys | None:
        """Return the keys of this app and user together."""
        for keys in self._keys.oauth:
            if keys.consumer_key == client_key and keys.access_token == token:
                return keys
        return None
