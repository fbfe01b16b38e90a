"""X's read endpoints that a set-up check needs, and the one that makes an event tag.

Sources: X Ads API reference, "Accounts", "Authenticated User Access", "Web Event Tags", "Pagination".
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from xcapi_core.sandbox.answers import (
    NO_ADS_API_ACCESS,
    ROUTE_NOT_FOUND,
    UNAUTHORIZED,
    Answer,
    ApiError,
    error_answer,
    no_account_access,
)
from xcapi_core.sandbox.config import OAuthKeys, SandboxPixel
from xcapi_core.sandbox.engine import Engine
from xcapi_core.sandbox.wording import Words

__all__ = ["TAG_TYPES", "AdsApi", "AdsRequest"]

TAG_TYPES: Final = frozenset(
    {
        *("ADDED_PAYMENT_INFO", "ADD_TO_CART", "ADD_TO_WISHLIST", "CHECKOUT_INITIATED", "CONTENT_VIEW", "CUSTOM"),
        *("DOWNLOAD", "PRODUCT_CUSTOMIZATION", "PURCHASE", "SEARCH", "SIGN_UP", "SITE_VISIT", "START_TRIAL"),
        "SUBSCRIBE",
    }
)
_SYNONYMS: Final[Mapping[str, str]] = MappingProxyType({"LEAD": "SIGN_UP"})  # Events Manager's name for it
# X: how many a page of a listing has, without `count` and at most.
_USUAL_COUNT: Final = "200"
_LARGEST_COUNT: Final = 1_000
_BASE_36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdsRequest:
    """A request to `/{version}/accounts…`: who signs is in `headers`, lower-case; `path` is what follows `accounts`."""

    method: str
    url: str
    api_version: str
    path: tuple[str, ...]
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    received_at: float


class AdsApi:
    """Answers the read endpoints from what the engine's configuration and recorder know."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answer(self, request: AdsRequest) -> Answer:
        """Answer as X does: route, keys, app, account, then the resource."""
        if request.api_version != self._engine.config.api_version:
            return error_answer(404, [ROUTE_NOT_FOUND])
        sender = self._engine.authenticate(request.url, request.method, request.headers, "", request.received_at)
        if sender.refused_because or sender.keys is None:
            return error_answer(401, [UNAUTHORIZED])
        if not sender.keys.ads_api_access:
            return error_answer(403, [NO_ADS_API_ACCESS])
        match (request.method, *request.path):
            case ("GET",):
                accounts = [_account(account_id) for account_id in self._accounts(sender.keys)]
                return self._page({}, accounts, request.parameters)
            case (_, account_id, *rest):
                if account_id not in self._accounts(sender.keys):
                    return error_answer(404, [no_account_access(sender.keys.user_id, account_id)])
                return self._of_account(request, account_id, tuple(rest), sender.keys)
        return error_answer(404, [ROUTE_NOT_FOUND])

    def _of_account(self, request: AdsRequest, account_id: str, rest: tuple[str, ...], keys: OAuthKeys) -> Answer:
        params = {"account_id": account_id}
        match (request.method, *rest):
            case ("GET",):
                return _answer(params, _account(account_id))
            case ("GET", "authenticated_user_access"):
                return _answer(params, {"user_id": keys.user_id, "permissions": list(keys.permissions)})
            case ("GET", "web_event_tags"):
                return self._page(params, self._tags(account_id), request.parameters)
            case ("POST", "web_event_tags"):
                return self._create_tag(account_id, request.parameters)
        return error_answer(404, [ROUTE_NOT_FOUND])

    def _page(self, params: Mapping[str, str], data: list[dict[str, object]], parameters: Mapping[str, str]) -> Answer:
        """Return one page of a listing; `next_cursor` of an answer is the `cursor` of the next request."""
        words = Words(named=self._engine.config.name_offending_values)
        count, cursor = parameters.get("count", _USUAL_COUNT), parameters.get("cursor", "0")
        errors = []
        if not _is_number(count) or not 1 <= int(count) <= _LARGEST_COUNT:
            errors.append(words.expected(f"Long from 1 to {_LARGEST_COUNT}", count, "count"))
        if not _is_number(cursor):
            errors.append(words.invalid("cursor", cursor, "is not valid"))
        if errors:
            return error_answer(400, errors, account_id=params.get("account_id"))
        end = int(cursor) + int(count)
        return _answer(params, data[int(cursor) : end], next_cursor=str(end) if end < len(data) else None)

    def _accounts(self, keys: OAuthKeys) -> list[str]:
        return list(dict.fromkeys(pixel.account_id for pixel in self._pixels(keys)))

    def _pixels(self, keys: OAuthKeys) -> list[SandboxPixel]:
        pixels = self._engine.config.pixels
        return [pixel for pixel in pixels if keys.pixel_ids is None or pixel.pixel_id in keys.pixel_ids]

    def _tags(self, account_id: str) -> list[dict[str, object]]:
        return [
            self._tag(pixel, tag, name)
            for pixel in self._engine.config.pixels
            if pixel.account_id == account_id
            for tag, name in pixel.event_tags.items()
        ]

    def _tag(self, pixel: SandboxPixel, tag: str, name: str) -> dict[str, object]:
        last = self._engine.recorder.last_tracked(pixel.pixel_id, tag)
        kind = pixel.tag_types.get(tag) or name.upper().replace(" ", "_")
        kind = _SYNONYMS.get(kind, kind)
        return {
            "name": name,
            "click_window": 30,
            "view_through_window": 1,
            "embed_code": f"<script>twq('config','{pixel.pixel_id}');</script>",
            "id": tag,
            "retargeting_enabled": False,
            "last_tracked_at": last and datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "status": "TRACKING" if last else "UNVERIFIED",
            "type": kind if kind in TAG_TYPES else "CUSTOM",
            "website_tag_id": pixel.pixel_id,
            "auto_created": False,
            "deleted": False,
        }

    def _create_tag(self, account_id: str, parameters: Mapping[str, str]) -> Answer:
        name, kind = parameters.get("name", "").strip(), parameters.get("type", "")
        params = {"account_id": account_id, **parameters}
        errors = [
            ApiError("MISSING_PARAMETER", f'"{parameter}" is a required parameter', parameter)
            for parameter in ("name", "type", "click_window", "view_through_window", "retargeting_enabled")
            if not parameters.get(parameter, "").strip()
        ]
        if kind and kind not in TAG_TYPES:
            errors.append(ApiError("INVALID_PARAMETER", f'Expected WebEventTagType, got "{kind}" for type', "type"))
        if errors:
            return error_answer(400, errors, account_id=account_id)
        config = self._engine.config
        owner = next(pixel for pixel in config.pixels if pixel.account_id == account_id)
        new = _unused_tag(owner, self._engine.random.choice)
        grown = replace(owner, event_tags={**owner.event_tags, new: name}, tag_types={**owner.tag_types, new: kind})
        self._engine.config = replace(
            config, pixels=tuple(grown if pixel is owner else pixel for pixel in config.pixels)
        )
        return _answer(params, self._tag(grown, new, name), status=201)


def _unused_tag(pixel: SandboxPixel, choose: Callable[[str], str]) -> str:
    while True:
        tag = "o" + "".join(choose(_BASE_36) for _ in range(4))
        if tag not in pixel.event_tags:
            return tag


def _account(account_id: str) -> dict[str, object]:
    return {
        "name": f"Sandbox {account_id}",
        "business_name": None,
        "timezone": "UTC",
        "id": account_id,
        "industry_type": None,
        "approval_status": "ACCEPTED",
        "deleted": False,
    }


def _answer(params: Mapping[str, str], data: object, *, status: int = 200, **more: object) -> Answer:
    body = {"request": {"params": dict(params)}, **more, "data": data}
    return Answer(status=status, body=json.dumps(body, separators=(",", ":")).encode())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10  # noqa: PLR2004  below what int() refuses to read
