"""The routes beside the conversions': X's read endpoints, and the three steps that give an app a token."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from xcapi_core.sandbox.ads_api import AdsApi, AdsRequest
from xcapi_core.sandbox.engine import Engine
from xcapi_core.sandbox.http import as_response, form_of, signed_url
from xcapi_core.sandbox.three_legs import ThreeLegs

__all__ = ["ads_routes"]


def ads_routes(engine: Engine, clock: Callable[[], float]) -> Sequence[Route]:
    """Return the routes under `/{api_version}/accounts` and `/oauth`."""
    api, legs = AdsApi(engine), ThreeLegs(engine, clock)

    async def accounts(request: Request) -> Response:
        form = await form_of(request)
        path = str(request.path_params.get("path", ""))
        parameters = dict(parse_qsl(request.url.query) + parse_qsl(form.decode("utf-8", "replace")))
        answer = api.answer(
            AdsRequest(
                method=request.method,
                url=signed_url(request, engine.config.public_url, form),
                api_version=request.path_params["api_version"],
                path=tuple(part for part in path.split("/") if part),
                parameters=parameters,
                headers=dict(request.headers),
                received_at=clock(),
            )
        )
        return as_response(answer)

    def step(name: Literal["request", "access"]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            url = signed_url(request, engine.config.public_url, await form_of(request))
            return as_response(legs.token(name, url, dict(request.headers)))

        return handle

    async def authorize(request: Request) -> Response:
        return as_response(legs.authorize(request.url.query))

    return (
        Route("/{api_version}/accounts", accounts, methods=["GET"]),
        Route("/{api_version}/accounts/{path:path}", accounts, methods=["GET", "POST"]),
        Route("/oauth/request_token", step("request"), methods=["POST"]),
        Route("/oauth/authorize", authorize, methods=["GET"]),
        Route("/oauth/access_token", step("access"), methods=["POST"]),
    )
