"""Cloud KMS, and what each service remembers of it: which key a thing was written under is what it is read with."""

from collections.abc import Callable, Iterable

from tests.rollout.control_plane.documents import policy_answer
from tests.rollout.control_plane.iam import Iam
from tests.rollout.control_plane.rest import Document, Refusal, Request

__all__ = ["Kms"]

_ENCRYPT, _DECRYPT = "cloudkms.cryptoKeyVersions.useToEncrypt", "cloudkms.cryptoKeyVersions.useToDecrypt"


class Kms:
    """Keys, and the memory of secret versions and messages. Services ask under their agents."""

    def __init__(self, iam: Iam, agent: Callable[[str], str]) -> None:
        """`agent` names the member that a Google service acts as."""
        self._iam = iam
        self._agent = agent
        self._keys: set[str] = set()
        self._of_versions: dict[str, list[list[str]]] = {}
        self._of_messages: dict[str, str] = {}

    def add_key(self, key: str) -> None:
        """Create a key."""
        self._keys.add(key)

    def answer(self, request: Request) -> Document:
        """Answer getIamPolicy and setIamPolicy of a key."""
        if request.path not in self._keys:
            raise Refusal(404, f"no {request.path}")
        return policy_answer(self._iam, request.path, request)

    def encrypt(self, agent: str, key: str) -> None:
        """Judge whether a service may encrypt with a key. Raises Refusal."""
        if key not in self._keys:
            raise Refusal(404, f"{key} was not found.")
        self._iam.require(self._agent(agent), _ENCRYPT, key)

    def note_version(self, secret: str, keys: list[str]) -> None:
        """Remember what the secret's next version is written under."""
        self._of_versions.setdefault(secret, []).append(keys)

    def decrypt_newest_version(self, secret: str) -> None:
        """Raise Refusal where Secret Manager cannot read it any more."""
        for key in (self._of_versions.get(secret) or [[]])[-1]:
            self._iam.require(self._agent("gcp-sa-secretmanager"), _DECRYPT, key)

    def note_published(self, key: str | None, message_ids: Iterable[str]) -> None:
        """Remember what these messages are kept under."""
        if key:
            self._of_messages.update(dict.fromkeys(message_ids, key))

    def decrypt_message(self, message_id: str) -> None:
        """Raise Refusal where Pub/Sub cannot read it any more."""
        if key := self._of_messages.get(message_id):
            self._iam.require(self._agent("gcp-sa-pubsub"), _DECRYPT, key)
