"""The Cloud Function: one Pub/Sub delivery in, one HTTP status out.

`functions-framework --target=send_conversions` serves it. Wiring only: the sequence that a delivery goes through is in
`xcapi_core.deliveries.handler`.
"""

import gc

# What is imported stays: looking it through for garbage again and again takes a tenth of the start. It is frozen below,
# and once more when the server forks its worker, and never looked through after that either.
gc.disable()

import os

# Cloud Run's time-out, which the framework hands to gunicorn as the worker's heartbeat: an instance that had no CPU
# between two requests would be killed at the second, with all it knows. xcapi_core.watchdog watches instead.
os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = "0"

import sys
from collections.abc import Mapping

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from xcapi_core import __version__, logs
from xcapi_core.adapters import secrets
from xcapi_core.deliveries.bodies import BodyRefused
from xcapi_core.pubsub import NotADelivery, read_delivery
from xcapi_core.service import Service
from xcapi_core.settings import Settings
from xcapi_core.settings.reader import ConfigurationError, load_settings
from xcapi_core.settings.summary import summary

__all__ = ["send_conversions"]

NOT_A_DELIVERY = 400


def _settings_or_exit() -> Settings:
    """Stop the start on a bad configuration, with a line of the log for every problem."""
    try:
        return load_settings(os.environ)
    except ConfigurationError as error:
        for problem in error.problems:
            logs.emit("CRITICAL", "configuration.invalid", problem=str(problem))
        sys.exit(1)


logs.install()
_settings = _settings_or_exit()
secrets.prepare(pixel.credentials for pixel in _settings.pixels.values())
# Where Cloud Trace keeps what the log lines belong to. Cloud Run does not name it; the dead-letter topic does.
_project = os.environ.get("GOOGLE_CLOUD_PROJECT") or _settings.dead_letter_project
if _settings.dry_run:
    logs.emit("WARNING", "service.dry_run", dry_run="conversions are being discarded")
_service: Service | None = None
_ACK = Response(status_code=204)  # holds nothing of its request
gc.freeze()
os.register_at_fork(before=gc.freeze)  # with the server's own modules, which it imports after this one
# A delivery leaves hardly any cycles behind: looked for after every 700 new objects, as is the default, they take a
# sixth of the time of a single-event delivery.
gc.set_threshold(10_000, 20, 50)
gc.enable()


@functions_framework.aio.http
async def send_conversions(request: Request) -> Response:
    """Answer one HTTP request: a POST is a Pub/Sub delivery, `GET /` says what runs here."""
    # Once, since every look into the request's own headers goes through all of them.
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    logs.set_trace(logs.trace_from_headers(headers, _project))
    try:
        return await _answer(request, headers)
    except Exception as error:  # noqa: BLE001 - the framework would put the exception's text into its log
        logs.emit("ERROR", "delivery.crashed", error)
        return JSONResponse({"reason": "internal_error"}, status_code=500)


async def _answer(request: Request, headers: Mapping[str, str]) -> Response:
    if request.method in {"GET", "HEAD"}:
        return JSONResponse({"version": __version__, "settings": summary(_settings)})
    if request.method != "POST":
        return JSONResponse({"reason": "a Pub/Sub delivery is a POST"}, status_code=405)
    service = _running_service()
    try:
        body, held = await service.bodies.receive(request.receive, _declared_size(headers))
    except BodyRefused as error:
        return _refuse(error.reason) if error.status == NOT_A_DELIVERY else _nack(error.status, error.reason)
    try:
        if service.is_stopping:
            return _nack(503, "shutting_down")
        message = read_delivery(headers, body)
        del body  # a large one need not be kept until X has answered
        answer = await service.handle(message, held)
    except NotADelivery as error:
        return _refuse(error.reason)
    finally:
        service.admission.release(held)
    return _ACK if answer.is_ack else _nack(answer.status, answer.cause)


def _running_service() -> Service:
    """Build on the first delivery: by then the server has forked this worker and its event loop runs."""
    global _service  # noqa: PLW0603 - the function's one piece of process state
    if _service is None:
        _service = Service(_settings)
    return _service


def _declared_size(headers: Mapping[str, str]) -> int | None:
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else None  # noqa: PLR2004


def _nack(status: int, cause: str) -> Response:
    return JSONResponse({"reason": cause}, status_code=status)


def _refuse(reason: str) -> Response:
    logs.emit("WARNING", "delivery.refused", reason=reason)
    return JSONResponse({"reason": reason}, status_code=NOT_A_DELIVERY)
