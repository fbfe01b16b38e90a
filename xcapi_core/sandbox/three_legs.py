"""The three steps by which a user gives an app a token: OAuth 1.0a with a PIN, by oauthlib's server side.

Sources: RFC 5849 sections 2.1 to 2.3; X, "3-legged OAuth flow" and "PIN-based authorization" (`oauth_callback=oob`).
"""

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import parse_qs, parse_qsl, quote, urlencode

from oauthlib.common import Request, generate_token
from oauthlib.oauth1 import AccessTokenEndpoint, RequestTokenEndpoint

from xcapi_core.sandbox.answers import Answer
from xcapi_core.sandbox.engine import Engine
from xcapi_core.sandbox.signatures import KeysValidator

__all__ = ["ThreeLegs"]

_USER_ID: Final = "1234567890"
_SCREEN_NAME: Final = "sandbox_advertiser"
_MOST_WAITING: Final = 100
_HTML: Final = "text/html;charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class _RequestToken:
    """A token between the first step and the third; `pin` is empty until the user has authorised the app."""

    consumer_key: str
    token: str
    secret: str
    pin: str = ""


class ThreeLegs:
    """Answers `/oauth/request_token`, `/oauth/authorize` and `/oauth/access_token` for the engine's apps."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._waiting: dict[str, _RequestToken] = {}

    def token(self, step: Literal["request", "access"], url: str, headers: Mapping[str, str]) -> Answer:
        """Answer the first step with a request token, or the third with an access token."""
        validator = _StepValidator(self._engine, self._clock(), self._waiting)
        url, authorization = _gathered(url, headers.get("authorization", ""))
        signed = {"Authorization": authorization}
        try:
            if step == "request":
                first = RequestTokenEndpoint(validator, token_generator=_generate)
                _, body, status = first.create_request_token_response(url, "POST", "", signed)
            else:
                third = AccessTokenEndpoint(validator, token_generator=_generate)
                user = {"user_id": _USER_ID, "screen_name": _SCREEN_NAME}
                _, body, status = third.create_access_token_response(url, "POST", "", signed, user)
        except ValueError:  # a badly escaped header: oauthlib lets it through to its parsers
            body, status = None, 401
        while len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        if status != 200:  # noqa: PLR2004 - HTTP
            error = {"code": 32, "message": "Could not authenticate you."}
            return Answer(status=401, body=json.dumps({"errors": [error]}).encode())
        return Answer(status=200, body=(body or "").encode(), content_type="text/html;charset=utf-8")

    def authorize(self, query: str) -> Answer:
        """Show the page of the second step: as if the user had signed in and authorised the app, its PIN."""
        token = parse_qs(query).get("oauth_token", [""])[0]
        waiting = self._waiting.get(token)
        if waiting is None:
            page = _page("This page is no longer valid", "<p>The request token is used up or unknown: start again.</p>")
            return Answer(status=403, body=page, content_type=_HTML)
        pin = waiting.pin or f"{self._engine.random.randrange(10**7):07d}"
        self._waiting[token] = replace(waiting, pin=pin)
        words = (
            f"<p>You have authorised the app as @{html.escape(_SCREEN_NAME)}. Enter this PIN to finish:</p>"
            f'<p><code id="pin">{pin}</code></p>'
        )
        return Answer(status=200, body=_page("Authorise the app", words), content_type=_HTML)


class _StepValidator(KeysValidator):
    """oauthlib's view of the first and third step. An app is known by the keys that the engine accepts."""

    def __init__(self, engine: Engine, now: float, waiting: dict[str, _RequestToken]) -> None:
        super().__init__(engine.keys, engine.nonces, now, engine.config.timestamp_tolerance_s)
        self._engine = engine
        self._waiting = waiting

    def check_request_token(self, request_token: str) -> bool:
        return bool(request_token)

    def check_verifier(self, verifier: str) -> bool:
        return bool(verifier)

    def check_realms(self, realms: list[str]) -> bool:
        return not realms

    def get_default_realms(self, client_key: str, request: Request) -> list[str]:  # noqa: ARG002  oauthlib's signature
        return []

    def get_realms(self, token: str, request: Request) -> list[str]:  # noqa: ARG002  as above
        return []

    def validate_requested_realms(self, client_key: str, realms: list[str], request: Request) -> bool:  # noqa: ARG002
        return not realms

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, request: Request) -> bool:  # noqa: ARG002
        return redirect_uri == "oob"

    def save_request_token(  # type: ignore[override]  # the stub says str; oauthlib hands over a dict
        self, token: dict[str, str], request: Request
    ) -> None:
        value = token["oauth_token"]
        self._waiting[value] = _RequestToken(
            consumer_key=request.client_key or "", token=value, secret=token["oauth_token_secret"]
        )

    @property
    def dummy_request_token(self) -> str:
        return self.dummy_access_token

    def get_request_token_secret(self, client_key: str, token: str, request: Request) -> str:  # noqa: ARG002  as above
        waiting = self._waiting.get(token)
        return waiting.secret if waiting and waiting.consumer_key == client_key else self.dummy_access_token

    def validate_request_token(self, client_key: str, token: str, request: Request) -> bool:  # noqa: ARG002  as above
        waiting = self._waiting.get(token)
        return waiting is not None and waiting.consumer_key == client_key

    def validate_verifier(self, client_key: str, token: str, verifier: str, request: Request) -> bool:  # noqa: ARG002
        waiting = self._waiting.get(token)
        return waiting is not None and waiting.pin != "" and waiting.pin == verifier

    def invalidate_request_token(self, client_key: str, request_token: str, request: Request) -> None:  # noqa: ARG002
        self._waiting.pop(request_token, None)

    def save_access_token(  # type: ignore[override]  # as above
        self, token: dict[str, str], request: Request
    ) -> None:
        # The user of the page is the app's first one, with what that user may do.
        owner = next(keys for keys in self._engine.keys.oauth if keys.consumer_key == request.client_key)
        user = replace(
            owner, access_token=token["oauth_token"], access_token_secret=token["oauth_token_secret"], user_id=_USER_ID
        )
        self._engine.keys = replace(self._engine.keys, oauth=(*self._engine.keys.oauth, user))


def _gathered(url: str, authorization: str) -> tuple[str, str]:
    """Put the query's OAuth parameters into the header, where oauthlib wants all of them; the signature is the same."""
    base, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    moved = [f'{quote(name)}="{quote(value, safe="")}"' for name, value in pairs if name.startswith("oauth_")]
    rest = urlencode([pair for pair in pairs if not pair[0].startswith("oauth_")])
    return f"{base}?{rest}" if rest else base, ", ".join([authorization, *moved])


def _generate() -> str:
    return generate_token(40)


def _page(title: str, content: str) -> bytes:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    return f"{head}<main><h1>{title}</h1>{content}<p>This is the sandbox, not X.</p></main></html>".encode()
