"""A small gRPC server with Google's own request and response types, for the fakes of Google's services."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import grpc

from xcapi_core.sandbox.services.ports import LOOPBACK

__all__ = ["GrpcMethod", "GrpcRefusal", "GrpcServer", "LocalGrpcService", "insecure_channel"]

# Pub/Sub takes requests of 10 MB; gRPC's own default is 4 MB.
_MAX_MESSAGE_BYTES = 32 * 1024 * 1024
_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # A proxy of the user's environment has no business between two processes on loopback.
    ("grpc.enable_http_proxy", 0),
]


class GrpcRefusal(Exception):  # noqa: N818 - an answer of the service, not a failure of ours
    """An error answer: `status` is the name of a gRPC status code ("NOT_FOUND"), `details` its text."""

    def __init__(self, status: str, details: str) -> None:
        super().__init__(f"{status}: {details}")
        self.status = status
        self.details = details


class _MessageType(Protocol):
    """What every proto-plus message class can do."""

    def serialize(self, instance: Any) -> bytes: ...  # noqa: ANN401 - proto-plus's own signature
    def deserialize(self, payload: bytes) -> Any: ...  # noqa: ANN401


@dataclass(frozen=True, slots=True)
class GrpcMethod:
    """One unary method: its proto-plus types, and what answers a request (or raises GrpcRefusal)."""

    request_type: _MessageType
    response_type: _MessageType
    answer: Callable[[Any], object]


class GrpcServer:
    """Serves methods by their full names, `/package.Service/Method`, on a free port of loopback."""

    def __init__(self, services: Mapping[str, Mapping[str, GrpcMethod]], *, threads: int = 32) -> None:
        """Start at once; `services` maps a service's full name to its methods by name."""
        self._server = grpc.server(ThreadPoolExecutor(threads, thread_name_prefix="grpc"), options=_OPTIONS)
        self._server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(
                    service, {name: _handler(method) for name, method in methods.items()}
                )
                for service, methods in services.items()
            )
        )
        self.port: int = self._server.add_insecure_port(f"{LOOPBACK}:0")
        self._server.start()

    @property
    def address(self) -> str:
        """`host:port`, as the `…_EMULATOR_HOST` variables want it."""
        return f"{LOOPBACK}:{self.port}"

    def close(self) -> None:
        """Stop at once; calls in flight are cancelled."""
        self._server.stop(grace=None).wait()


class LocalGrpcService:
    """The base of what plays a service of Google's: a context manager; while it is open, clients reach `address`."""

    def __init__(self, services: Mapping[str, Mapping[str, GrpcMethod]]) -> None:
        """Serve `services`, as GrpcServer takes them, once opened."""
        self._services = services
        self._server: GrpcServer | None = None

    def __enter__(self) -> Self:
        """Start serving on a free port."""
        self._server = GrpcServer(self._services)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving; calls in flight are cancelled."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def address(self) -> str:
        """`host:port`, as the `…_EMULATOR_HOST` variables want it; RuntimeError while it is not open."""
        if self._server is None:
            raise RuntimeError(f"{type(self).__name__} is not open: use it as a context manager")
        return self._server.address


def insecure_channel(address: str) -> grpc.Channel:
    """Open a plain-text channel to a local server."""
    return grpc.insecure_channel(address, options=_OPTIONS)


def _handler(method: GrpcMethod) -> "grpc.RpcMethodHandler[Any, Any]":
    def call(request: object, context: grpc.ServicerContext) -> object:
        try:
            return method.answer(request)
        except GrpcRefusal as refusal:
            context.abort(getattr(grpc.StatusCode, refusal.status), refusal.details)
            raise  # abort() raises already; this line only says so to the type checker

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=method.request_type.deserialize,
        response_serializer=method.response_type.serialize,
    )
