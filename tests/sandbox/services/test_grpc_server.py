"""What plays a service of Google's is there while it is open, and only then."""

import grpc
import pytest
from google.pubsub_v1.types import Topic

from xcapi_core.sandbox.services.grpc_server import GrpcMethod, LocalGrpcService, insecure_channel


class Echo(LocalGrpcService):
    def __init__(self) -> None:
        super().__init__({"some.Service": {"Echo": GrpcMethod(Topic, Topic, lambda topic: topic)}})


def ask(address: str) -> Topic:
    with insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/some.Service/Echo", request_serializer=Topic.serialize, response_deserializer=Topic.deserialize
        )
        answer: Topic = call(Topic(name="anything"), timeout=60)
    return answer


def test_open_it_answers_and_closed_it_is_gone() -> None:
    with Echo() as echo:
        address = echo.address
        assert ask(address).name == "anything"
    with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
        ask(address)


def test_it_can_be_opened_again() -> None:
    echo = Echo()
    for _ in range(2):
        with echo:
            assert ask(echo.address).name == "anything"


def test_without_being_open_it_has_no_address_and_says_what_to_do() -> None:
    echo = Echo()
    with pytest.raises(RuntimeError, match="Echo is not open: use it as a context manager"):
        _ = echo.address
    with echo:
        pass
    with pytest.raises(RuntimeError, match="Echo is not open"):
        _ = echo.address
