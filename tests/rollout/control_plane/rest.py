"""JSON over HTTP as Google's APIs speak it: requests taken apart, errors in Google's form."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["Answer", "Document", "JsonServer", "Refusal", "Request", "as_proto3", "merge_patch"]

Document = dict[str, Any]

_STATUS_NAMES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS"}


class Refusal(Exception):  # noqa: N818 - an answer of the service, not a failure of ours
    """An error answer: an HTTP status with Google's words for it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message

    @property
    def document(self) -> Document:
        """The body, as Google writes it."""
        name = _STATUS_NAMES.get(self.status, "FAILED_PRECONDITION")
        return {"error": {"code": self.status, "message": self.message, "status": name}}


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `path` is decoded and without the product's prefix, `verb` what follows a colon at its end."""

    method: str
    path: str
    verb: str
    query: dict[str, str]
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    host: str

    @property
    def document(self) -> Document:
        """The body as JSON."""
        return json.loads(self.body) if self.body else {}


Answer = Document | bytes | tuple[int, bytes]


# Messages, whose presence says something; an empty map or list says nothing, and is left out.
_MESSAGES = frozenset({"automaticUpdatePolicy", "expirationPolicy", "automatic", "response"})


def as_proto3(document: Document) -> Document:
    """Write an answer as Google's protobuf APIs do: fields with a default (0, "", false, []) are left out."""
    shown: Document = {}
    for name, value in document.items():
        if isinstance(value, dict):
            inner = as_proto3(value)
            if inner or name in _MESSAGES:
                shown[name] = inner
        elif isinstance(value, list):
            if value:
                shown[name] = [as_proto3(one) if isinstance(one, dict) else one for one in value]
        elif value not in (None, "", 0, False):
            shown[name] = value
    return shown


class JsonServer:
    """Answers on a free port of loopback, each request in a thread of its own, until it is closed."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self._answer = answer
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:  # a client that went away, as Terraform does when it ends
                    self.close_connection = True

            def do_GET(self) -> None:
                server._serve(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Say nothing: tests read the journal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="control plane", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        if handler.headers.get("transfer-encoding", "") == "chunked":
            body = _read_chunks(handler)
        url = urlsplit(handler.path)
        path, colon, verb = unquote(url.path).rpartition(":")
        if not colon or not re.fullmatch(r"[a-zA-Z]+", verb):
            path, verb = unquote(url.path), ""
        request = Request(
            method=handler.command,
            path=path.strip("/"),
            verb=verb,
            query={name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()},
            body=body,
            headers={name.lower(): value for name, value in handler.headers.items()},
            host=self.url,
        )
        try:
            answer: Answer = self._answer(request)
        except Refusal as refusal:
            answer = refusal.status, json.dumps(refusal.document).encode()
        except Exception as error:  # noqa: BLE001 - a bug of ours should fail the test, not hang Terraform
            answer = 400, json.dumps(Refusal(400, f"the control plane crashed: {error!r}").document).encode()
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        if status != 204:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if status != 204:
            handler.wfile.write(content)


def _read_chunks(handler: BaseHTTPRequestHandler) -> bytes:
    body = b""
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def merge_patch(document: Document, patch: Document, mask: str) -> None:
    """Take what an update mask names (`a.b,c_d`, in either spelling) from `patch`; without a mask, all of it."""
    for path in filter(None, (mask or ",".join(patch)).split(",")):
        *sections, name = (re.sub(r"_(\w)", lambda found: found[1].upper(), part) for part in path.split("."))
        source: Any = patch
        target = document
        for section in sections:
            source = source.get(section, {}) if isinstance(source, dict) else {}
            target = target.setdefault(section, {})
        if isinstance(source, dict) and name in source:
            target[name] = source[name]
        else:
            target.pop(name, None)
