"""The whole of it: one server for all APIs, with what Terraform needs to find it."""

import base64
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from tests.rollout.control_plane.bigquery import Datasets
from tests.rollout.control_plane.documents import COLLECTIONS, Documents, keys_named_in, policy_answer
from tests.rollout.control_plane.functions import Functions
from tests.rollout.control_plane.iam import Iam
from tests.rollout.control_plane.identities import IdentityServices
from tests.rollout.control_plane.kms import Kms
from tests.rollout.control_plane.project import PROJECT, PROJECT_NUMBER, Project
from tests.rollout.control_plane.pubsub import Pubsub
from tests.rollout.control_plane.rest import Answer, Document, JsonServer, Refusal, Request, as_proto3
from tests.rollout.control_plane.storage import Storage
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

__all__ = ["PROJECT", "PROJECT_NUMBER", "ControlPlane"]

# The provider's product → where this server answers for it. The slash at the end is the provider's own convention.
_ENDPOINTS = {
    "ARTIFACT_REGISTRY": "artifactregistry/v1/",
    "BIGQUERY_DATA_TRANSFER": "datatransfer/v1/",
    "BIG_QUERY": "bigquery/v2/",
    "CLOUDFUNCTIONS2": "functions/v2/",
    "CLOUD_RUN_V2": "run/v2/",
    "IAM_BETA": "iam/v1/",
    "KMS": "kms/v1/",
    "LOGGING": "logging/v2/",
    "MONITORING": "monitoring/",
    "PUBSUB": "pubsub/v1/",
    "RESOURCE_MANAGER": "projects/v1/",
    "RESOURCE_MANAGER_V3": "projects/v3/",
    "SECRET_MANAGER": "secretmanager/v1/",
    "SERVICE_USAGE": "serviceusage/v1/",
    "STORAGE": "storage/v1/",
    "CLOUD_BILLING": "billing/v1/",
}


class ControlPlane:
    """A context manager: while it is open, the project exists, empty."""

    def __init__(self, emulator: PubsubEmulator, cache: Path) -> None:
        """`cache` keeps what functions install."""
        self._lock = threading.RLock()
        self._server = JsonServer(self._answer)
        self._emulator = emulator
        self._identities: dict[str, IdentityServices] = {}
        self.payloads: dict[str, list[bytes]] = {}
        self.missing_agents: set[str] = set()  # not made yet: no policy may name them
        self.datasets = Datasets()
        self.requests: list[tuple[str, str]] = []
        self.unknown: list[str] = []
        self.iam = Iam(knows=self._knows, on_change=self._review)
        self.kms = Kms(self.iam, self.agent)
        self.project = Project(self.iam)
        self.documents = Documents(self.iam, self.kms.encrypt)
        self.storage = Storage(PROJECT_NUMBER, self.iam, self.kms.encrypt)
        self.pubsub = Pubsub(emulator.address, f"{self._server.url}/push", self.iam, self.kms.encrypt)
        self.functions = Functions(
            cache=cache,
            iam=self.iam,
            identity=self.identity,
            encrypt=self.kms.encrypt,
            project_number=PROJECT_NUMBER,
            storage=self.storage,
            url=f"{self._server.url}/run.app",
        )

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.pubsub.clear()
        self.functions.close()
        self._server.__exit__()
        for services in self._identities.values():
            services.close()

    @property
    def environment(self) -> Mapping[str, str]:
        """What sends the real provider here."""
        endpoints = {f"GOOGLE_{name}_CUSTOM_ENDPOINT": f"{self._server.url}/{at}" for name, at in _ENDPOINTS.items()}
        return {**endpoints, "GOOGLE_OAUTH_ACCESS_TOKEN": "anything", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._server.url

    @property
    def resources(self) -> set[str]:
        """The names of everything that exists, APIs and policies left out."""
        objects = {f"{bucket}/{name}" for bucket, name in self.storage.objects}
        return {
            *self.documents.all,
            *self.storage.buckets,
            *objects,
            *self.pubsub.topics,
            *self.pubsub.subscriptions,
            *self.functions.functions,
        }

    def identity(self, member: str) -> IdentityServices:
        """Return the services as a member reaches them."""
        if member not in self._identities:
            self._identities[member] = IdentityServices(
                member,
                self.iam,
                self._emulator.address,
                self.payloads,
                decrypt=self.kms.decrypt_newest_version,
                published=self._note_published,
            )
        return self._identities[member]

    def agent(self, service: str) -> str:
        """Return a Google service agent's member name."""
        return f"serviceAccount:service-{PROJECT_NUMBER}@{service}.iam.gserviceaccount.com"

    def publish(self, member: str, topic: str, data: bytes) -> None:
        """Publish an event as somebody. Raises Refusal without the grant."""
        self.iam.require(member, "pubsub.topics.publish", topic)
        self._note_published(topic, [self._emulator.publish(topic, data)])

    def _knows(self, account: str) -> bool:
        name, _, domain = account.partition("@")
        if domain == f"{PROJECT}.iam.gserviceaccount.com":
            return f"projects/{PROJECT}/serviceAccounts/{account}" in self.documents.all
        if f"serviceAccount:{account}" in self.missing_agents:
            return False
        return name == f"service-{PROJECT_NUMBER}" or not domain.endswith(f"{PROJECT}.iam.gserviceaccount.com")

    def _note_published(self, topic: str, message_ids: Iterable[str]) -> None:
        self.kms.note_published(self.pubsub.topics.get(topic, {}).get("kmsKeyName"), message_ids)

    def _review(self) -> None:
        self.pubsub.review_dead_lettering(self.agent("gcp-sa-pubsub"))

    def _answer(self, request: Request) -> Answer:
        product, _, rest = request.path.partition("/")
        if product == "push":
            return self._push(rest, request.body)
        path = rest.partition("/")[2]
        self.requests.append((request.method, f"{product}/{path}{':' + request.verb if request.verb else ''}"))
        inner = Request(request.method, path, request.verb, request.query, request.body, request.headers, request.host)
        with self._lock:
            try:
                answer = self._dispatch(product, inner)
                # Cloud Storage's and BigQuery's APIs are older than protobuf's JSON, and say false and 0.
                return (
                    as_proto3(answer) if isinstance(answer, dict) and product not in {"bigquery", "storage"} else answer
                )
            except Refusal as refusal:
                if refusal.status == 404 and "no " in refusal.message[:3]:
                    self.unknown.append(f"{request.method} {request.path}:{request.verb}")
                raise

    def _dispatch(self, product: str, request: Request) -> Answer:
        match product, request.verb:
            case "secretmanager", "addVersion":
                return self._add_version(request)
            case "logging", "list":
                return {"entries": self._log_entries()}
            case "monitoring", _ if request.path.split("/")[2] == "dashboards":
                return self.documents.answer("dashboards", request)
        of_a_function = any(
            one["serviceConfig"].get("service") == request.path for one in self.functions.functions.values()
        )
        if product in COLLECTIONS and not of_a_function:
            return self.documents.answer(product, request)
        return self._dispatch_to_services(product, request)

    def _dispatch_to_services(self, product: str, request: Request) -> Answer:
        match product:
            case "functions":
                return self.functions.answer(request)
            case "pubsub":
                answer = self.pubsub.answer(request)
                if request.verb == "publish":
                    self._note_published(request.path, answer["messageIds"])
                return answer
            case "storage":
                answer = self.storage.answer(request)
                return (204, b"") if request.method == "DELETE" else answer
            case "upload":  # upload/storage/v1/b/…
                path = request.path.partition("/")[2]
                return self.storage.upload(
                    Request(request.method, path, "", request.query, request.body, request.headers, request.host)
                )
            case "projects":
                return self.project.answer(request)
            case "billing":
                return {"projectId": PROJECT, "billingEnabled": True}
            case "serviceusage":
                return self.project.answer_services(request)
            case "run":  # a function's
                return policy_answer(self.iam, request.path, request)
            case "bigquery":
                return self.datasets.answer(request)
            case "kms":
                return self.kms.answer(request)
        raise Refusal(404, f"no {request.method} {product}/{request.path}")

    def _add_version(self, request: Request) -> Document:
        if request.path not in self.documents.all:
            raise Refusal(404, f"Secret [{request.path}] not found.")
        versions = self.payloads.setdefault(request.path, [])
        versions.append(base64.b64decode(request.document["payload"]["data"]))
        self.kms.note_version(request.path, keys_named_in(self.documents.all[request.path]))
        return {
            "name": f"{request.path}/versions/{len(versions)}",
            "state": "ENABLED",
            "clientSpecifiedPayloadChecksum": True,
        }

    def _log_entries(self) -> list[Document]:
        """Return what the functions wrote, newest first, as Cloud Logging would have it."""
        return [
            {
                "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2Fstdout",
                "resource": {"type": "cloud_run_revision", "labels": {"service_name": name.rpartition("/")[2]}},
                "timestamp": entry["time"],
                "jsonPayload": entry,
            }
            for name, instance in self.functions.instances.items()
            for entry in reversed(instance.log_entries)
        ]

    def _push(self, subscription: str, body: bytes) -> Answer:
        """Do what lies between Pub/Sub and the instance: the token's identity and audience, and the invoker's grant."""
        config = self.pubsub.subscriptions[subscription]["pushConfig"]
        token = config.get("oidcToken") or {}
        service = self.functions.service_of(config["pushEndpoint"])
        if service is None:
            return 404, b""
        if not token or token.get("audience", config["pushEndpoint"]) != config["pushEndpoint"]:
            return 401, b""
        pusher = token["serviceAccountEmail"]
        agent = self.agent("gcp-sa-pubsub")
        try:
            self.kms.decrypt_message(json.loads(body)["message"]["messageId"])
            account = f"projects/{pusher.partition('@')[2].partition('.')[0]}/serviceAccounts/{pusher}"
            self.iam.require(agent, "iam.serviceAccounts.getOpenIdToken", account)
            self.iam.require(f"serviceAccount:{pusher}", "run.routes.invoke", service)
        except Refusal:
            return 403, b""
        return self.functions.push(service, body)
