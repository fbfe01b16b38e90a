"""The dead-letter topic: real gRPC, letters counted and forgotten."""

from types import TracebackType
from typing import Self

from google.pubsub_v1.types import PublishRequest, PublishResponse

from xcapi_core.sandbox.services.grpc_server import GrpcMethod, GrpcServer

__all__ = ["TOPIC", "LetterSink"]

TOPIC = "projects/bench-project/topics/conversions-dead-letter"


class LetterSink:
    """A context manager; `address` is for PUBSUB_EMULATOR_HOST."""

    def __init__(self) -> None:
        self.letters = 0
        self._server: GrpcServer | None = None

    def __enter__(self) -> Self:
        method = GrpcMethod(PublishRequest, PublishResponse, self._take)
        self._server = GrpcServer({"google.pubsub.v1.Publisher": {"Publish": method}})
        self.address = self._server.address
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    def _take(self, request: PublishRequest) -> PublishResponse:
        self.letters += len(request.messages)
        return PublishResponse(message_ids=[str(number) for number in range(len(request.messages))])
