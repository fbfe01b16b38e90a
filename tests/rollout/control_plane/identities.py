"""Secret Manager and Pub/Sub as one identity reaches them: over gRPC, allowed only what IAM says.

On Google Cloud the metadata server tells who a process is. Here it is the address that the process was given: every
identity has its own.
"""

from collections.abc import Callable, Iterable

import grpc
from google.pubsub_v1.types import PublishRequest, PublishResponse

from tests.rollout.control_plane.iam import Iam
from tests.rollout.control_plane.rest import Refusal
from xcapi_core.sandbox.services.grpc_server import GrpcMethod, GrpcRefusal, GrpcServer, insecure_channel
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

__all__ = ["IdentityServices"]


class IdentityServices:
    """The two services' addresses for one member."""

    def __init__(
        self,
        member: str,
        iam: Iam,
        emulator: str,
        payloads: dict[str, list[bytes]],
        *,
        decrypt: Callable[[str], None],
        published: Callable[[str, Iterable[str]], None],
    ) -> None:
        """`payloads`, by secret, are shared between identities: whoever may read sees the same.

        `decrypt` raises Refusal where a secret's newest version cannot be decrypted any more; `published` is told the
        ids of a topic's new messages.
        """
        self._member = member
        self._iam = iam
        self._decrypt = decrypt
        self._published = published
        self._channel = insecure_channel(emulator)
        self._publish = self._channel.unary_unary(
            "/google.pubsub.v1.Publisher/Publish",
            request_serializer=PublishRequest.serialize,
            response_deserializer=PublishResponse.deserialize,
        )
        self._secrets = LocalSecretManager(payloads, guard=self._guard_secret)
        self._secrets.__enter__()
        self._pubsub = GrpcServer(
            {"google.pubsub.v1.Publisher": {"Publish": GrpcMethod(PublishRequest, PublishResponse, self._pass_on)}}
        )

    @property
    def secret_manager_address(self) -> str:
        """The value for SECRET_MANAGER_EMULATOR_HOST."""
        return self._secrets.address

    @property
    def pubsub_address(self) -> str:
        """The value for PUBSUB_EMULATOR_HOST."""
        return self._pubsub.address

    def close(self) -> None:
        """Stop serving."""
        self._secrets.__exit__(None, None, None)
        self._pubsub.close()
        self._channel.close()

    def _guard_secret(self, secret: str) -> None:
        self._require("secretmanager.versions.access", secret)
        try:
            self._decrypt(secret)
        except Refusal as refusal:
            raise GrpcRefusal("FAILED_PRECONDITION", refusal.message) from refusal

    def _pass_on(self, request: PublishRequest) -> PublishResponse:
        self._require("pubsub.topics.publish", request.topic)
        try:
            answer: PublishResponse = self._publish(request, timeout=60)
        except grpc.RpcError as error:
            raise GrpcRefusal(error.code().name, "the emulator refuses") from error
        self._published(request.topic, answer.message_ids)
        return answer

    def _require(self, permission: str, resource: str) -> None:
        try:
            self._iam.require(self._member, permission, resource)
        except Refusal as refusal:
            raise GrpcRefusal("PERMISSION_DENIED", refusal.message) from refusal
