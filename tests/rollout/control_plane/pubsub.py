"""Pub/Sub: Google's emulator moves the messages; what it does not know (IAM, OIDC, CMEK, 31 days) is kept here."""

import re
from collections.abc import Callable

import requests

from tests.rollout.control_plane.documents import policy_answer
from tests.rollout.control_plane.iam import Iam
from tests.rollout.control_plane.rest import Document, Refusal, Request, merge_patch

__all__ = ["Pubsub"]

_LONGEST_RETENTION_OF_THE_EMULATOR_S = 7 * 86_400
_TAKEN_BY_THE_EMULATOR = ("ackDeadlineSeconds", "retryPolicy", "topic")
_UNCHANGEABLE = {"name", "topic", "filter"}
_NEVER = {"ttl": ""}


class Pubsub:
    """The admin API over REST. Subscriptions push to `push_url`/SUBSCRIPTION, where the token is checked."""

    def __init__(self, emulator: str, push_url: str, iam: Iam, encrypt: Callable[[str, str], None]) -> None:
        self._emulator = f"http://{emulator}/v1"
        self._push_url = push_url
        self._iam = iam
        self._encrypt = encrypt
        self._agent = ""
        self._forwards: dict[str, bool] = {}
        self.topics: dict[str, Document] = {}
        self.subscriptions: dict[str, Document] = {}

    def answer(self, request: Request) -> Document:
        """Answer one request."""
        store = self.topics if re.fullmatch(r"projects/[^/]+/topics/[^/]+", request.path) else self.subscriptions
        if request.verb in {"getIamPolicy", "setIamPolicy"}:
            self._get(store, request.path)
            return policy_answer(self._iam, request.path, request)
        if request.verb in {"publish", "seek"}:
            return self._pass_on("POST", f"{request.path}:{request.verb}", request.document)
        if request.verb == "pull":
            # gcloud waits for a first message; the test has better to do.
            return self._pass_on("POST", f"{request.path}:pull", {**request.document, "returnImmediately": True})
        match request.method:
            case "PUT":
                return self._create(store, request)
            case "PATCH":
                return self._update(store, request)
            case "DELETE":
                self._get(store, request.path)
                self._pass_on("DELETE", request.path)
                del store[request.path]
                self._forwards.pop(request.path, None)
                self._iam.forget(request.path)
                return {}
        return self._get(store, request.path)

    def clear(self) -> None:
        """Take what is left out of the emulator, which other projects of the same name use after this one."""
        for name in (*self.subscriptions, *self.topics):
            self._pass_on("DELETE", name)

    def review_dead_lettering(self, agent: str) -> None:
        """Let the emulator forward what is given up exactly where Pub/Sub's agent may publish and acknowledge it."""
        self._agent = agent
        for name, subscription in self.subscriptions.items():
            allowed = self._may_forward(name, subscription)
            if allowed != self._forwards.get(name, False):
                self._forwards[name] = allowed
                self._patch_emulator(name, subscription, ["deadLetterPolicy"])

    def note_forwarded(self, subscription: str) -> None:
        """Enter into the journal what the agent did to forward a message."""
        topic = self.subscriptions[subscription]["deadLetterPolicy"]["deadLetterTopic"]
        self._iam.require(self._agent, "pubsub.topics.publish", topic)
        self._iam.require(self._agent, "pubsub.subscriptions.consume", subscription)

    def _may_forward(self, name: str, subscription: Document) -> bool:
        policy = subscription.get("deadLetterPolicy")
        return bool(
            policy
            and self._iam.allows(self._agent, "pubsub.topics.publish", policy["deadLetterTopic"])
            and self._iam.allows(self._agent, "pubsub.subscriptions.consume", name)
        )

    def _create(self, store: dict[str, Document], request: Request) -> Document:
        if request.path in store:
            raise Refusal(409, f"{request.path} exists already.")
        document = {**request.document, "name": request.path}
        if key := document.get("kmsKeyName"):
            self._encrypt("gcp-sa-pubsub", key)
        if store is self.topics:
            self._pass_on("PUT", request.path, {})
        else:
            # Google leaves "never" out of an answer's ttl, but gives the empty policy back.
            document.setdefault("expirationPolicy", {"ttl": f"{31 * 86_400}s"})
            if document.get("topic") not in self.topics:
                raise Refusal(404, f"Topic {document.get('topic')} was not found.")
            self._pass_on("PUT", request.path, self._for_emulator(request.path, document))
        store[request.path] = document
        self.review_dead_lettering(self._agent)
        return document

    def _update(self, store: dict[str, Document], request: Request) -> Document:
        document = self._get(store, request.path)
        patch = request.document
        mask = patch.pop("updateMask", "") or request.query.get("updateMask", "")
        fields = [re.sub(r"_(\w)", lambda found: found[1].upper(), field) for field in mask.split(",")]
        if wrong := _UNCHANGEABLE.intersection(fields):
            raise Refusal(400, f"{wrong} cannot be changed.")
        inner = patch.get("subscription" if store is self.subscriptions else "topic")
        merge_patch(document, inner if isinstance(inner, dict) else patch, mask)
        if store is self.topics and (key := document.get("kmsKeyName")):
            self._encrypt("gcp-sa-pubsub", key)
        if store is self.subscriptions:
            self._patch_emulator(request.path, document, fields)
        return document

    def _patch_emulator(self, name: str, document: Document, fields: list[str]) -> None:
        wanted = self._for_emulator(name, document)
        known = [field for field in fields if field in {*wanted, "deadLetterPolicy", "pushConfig"} - {"topic"}]
        if known:
            body = {"subscription": {"name": name, **wanted}, "updateMask": ",".join(known)}
            self._pass_on("PATCH", name, body)

    def _for_emulator(self, name: str, document: Document) -> Document:
        wanted = {field: document[field] for field in _TAKEN_BY_THE_EMULATOR if field in document}
        if self._forwards.get(name):
            wanted["deadLetterPolicy"] = document["deadLetterPolicy"]
        if document.get("pushConfig", {}).get("pushEndpoint"):
            wanted["pushConfig"] = {"pushEndpoint": f"{self._push_url}/{name}"}
        retention_s = int(document.get("messageRetentionDuration", "0s").removesuffix("s"))
        if 0 < retention_s <= _LONGEST_RETENTION_OF_THE_EMULATOR_S:
            wanted["messageRetentionDuration"] = document["messageRetentionDuration"]
        return wanted

    def _get(self, store: dict[str, Document], name: str) -> Document:
        if name not in store:
            raise Refusal(404, f"Resource not found (resource={name}).")
        return store[name]

    def _pass_on(self, method: str, path: str, body: Document | None = None) -> Document:
        answer = requests.request(method, f"{self._emulator}/{path}", json=body, timeout=60)
        if not answer.ok:
            raise Refusal(answer.status_code, f"the emulator says {answer.text}")
        return answer.json() if answer.text else {}
