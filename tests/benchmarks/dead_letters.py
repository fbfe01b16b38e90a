"""The dead-letter topic: real gRPC, dead letters counted and forgotten."""

from google.pubsub_v1.types import PublishRequest, PublishResponse

from xcapi_core.sandbox.services.grpc_server import GrpcMethod, LocalGrpcService

__all__ = ["TOPIC", "DeadLetterSink"]

TOPIC = "projects/bench-project/topics/conversions-dead-letter"


class DeadLetterSink(LocalGrpcService):
    """A context manager; `address` is for PUBSUB_EMULATOR_HOST."""

    def __init__(self) -> None:
        method = GrpcMethod(PublishRequest, PublishResponse, self._take)
        super().__init__({"google.pubsub.v1.Publisher": {"Publish": method}})
        self.dead_letters = 0

    def _take(self, request: PublishRequest) -> PublishResponse:
        self.dead_letters += len(request.messages)
        return PublishResponse(message_ids=[str(number) for number in range(len(request.messages))])
