"""The APIs that only keep documents: created, read, patched, deleted, with operations that are done at once."""

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.rollout.control_plane.iam import Iam
from tests.rollout.control_plane.rest import Document, Refusal, Request, merge_patch

__all__ = ["COLLECTIONS", "Collection", "Documents", "keys_named_in", "operation", "policy_answer"]

_numbers = itertools.count(100001)


def operation(parent: str, response: Document, error: Refusal | None = None) -> Document:
    """Return a long-running operation that is over."""
    done: Document = {"name": f"{parent}/operations/{next(_numbers)}", "done": True}
    if error is not None:
        # google.rpc.Code: 7 is PERMISSION_DENIED, 3 INVALID_ARGUMENT.
        return {**done, "error": {"code": 7 if error.status == 403 else 3, "message": error.message}}
    return {**done, "response": response}


def _service_account(name: str, document: Document) -> Document:
    project = name.split("/")[1]
    email = f"{document['accountId']}@{project}.iam.gserviceaccount.com"
    return {
        **document["serviceAccount"],
        "name": f"projects/{project}/serviceAccounts/{email}",
        "email": email,
        "projectId": project,
        "uniqueId": str(next(_numbers)),
    }


def _numbered(name: str, document: Document) -> Document:
    return {**document, "name": f"{name}/{next(_numbers)}"}


def _alert_policy(name: str, document: Document) -> Document:
    policy = _numbered(name, document)
    for number, condition in enumerate(policy["conditions"]):
        condition["name"] = f"{policy['name']}/conditions/{number}"
    return {"enabled": True, **policy}


def _dashboard(name: str, document: Document) -> Document:
    return {**_numbered(name, document), "etag": "e1"}


def _metric(name: str, document: Document) -> Document:
    return {**document, "name": f"{name}/{document['name']}"}


def _run_service(name: str, document: Document) -> Document:
    """Add what Cloud Run adds: where it answers, and the defaults of what was left open."""
    template = {"timeout": "300s", "maxInstanceRequestConcurrency": 80, **document["template"]}
    defaults: Document = {
        "ports": [{"name": "http1", "containerPort": 8080}],
        "resources": {"limits": {"cpu": "1000m", "memory": "512Mi"}, "cpuIdle": True},
        "startupProbe": {
            "timeoutSeconds": 240,
            "periodSeconds": 240,
            "failureThreshold": 1,
            "tcpSocket": {"port": 8080},
        },
    }
    template["containers"] = [defaults | one for one in template["containers"]]
    return {
        **document,
        "name": name,
        "template": template,
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
        "uri": f"https://{name.rpartition('/')[2]}-abcdefghij-ew.a.run.app",
        "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        "etag": "e1",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One kind of resource: where it lives, how it is named, what Google adds.

    `id_parameter` names the query parameter with the id; without it `complete` makes the name. `key_parameter` is where
    in a document the key that encrypts it stands, and `agent` who encrypts.
    """

    path: str
    id_parameter: str = ""
    complete: Callable[[str, Document], Document] = lambda name, document: {**document, "name": name}
    has_operations: bool = False
    updates_by_operations: bool = False
    only_local_name: bool = False  # answers with the last part of its name
    agent: str = ""


COLLECTIONS: Mapping[str, Collection] = {
    "artifactregistry": Collection(
        path="projects/[^/]+/locations/[^/]+/repositories",
        id_parameter="repository_id",
        has_operations=True,
        agent="gcp-sa-artifactregistry",
    ),
    "iam": Collection(path="projects/[^/]+/serviceAccounts", complete=_service_account),
    "logging": Collection(path="projects/[^/]+/metrics", complete=_metric, only_local_name=True),
    "monitoring": Collection(path="projects/[^/]+/alertPolicies", complete=_alert_policy),
    # Services that are no functions'.
    "run": Collection(
        path="projects/[^/]+/locations/[^/]+/services",
        id_parameter="serviceId",
        complete=_run_service,
        has_operations=True,
        updates_by_operations=True,
    ),
    "datatransfer": Collection(path="projects/[^/]+/locations/[^/]+/transferConfigs", complete=_numbered),
    "dashboards": Collection(path="projects/[^/]+/dashboards", complete=_dashboard),
    "secretmanager": Collection(path="projects/[^/]+/secrets", id_parameter="secretId", agent="gcp-sa-secretmanager"),
}


class Documents:
    """All resources of these kinds, by full name."""

    def __init__(self, iam: Iam, encrypt: Callable[[str, str], None]) -> None:
        """`encrypt` judges whether a service agent may use a key."""
        self._iam = iam
        self._encrypt = encrypt
        self.all: dict[str, Document] = {}

    def answer(self, kind: str, request: Request) -> Document:
        """Answer one request to the kind's API."""
        collection = COLLECTIONS[kind]
        if request.verb in {"getIamPolicy", "setIamPolicy"}:
            return policy_answer(self._iam, self._get(self._in_a_project(request.path))["name"], request)
        if re.fullmatch(collection.path, request.path):
            if request.method != "POST":
                raise Refusal(404, f"no {request.method} of {request.path}")
            return self._create(collection, request)
        document = self._get(request.path)
        if request.method == "DELETE":
            del self.all[request.path]
            self._iam.forget(request.path)
            return operation("operations", {}) if collection.has_operations else {}
        if request.method == "PATCH":
            patch = request.document
            mask = patch.pop("updateMask", "") or request.query.get("updateMask", "")
            merge_patch(document, patch.get("serviceAccount", patch), mask)
            self._check_keys(collection, document)
            if collection.updates_by_operations:
                document.update(collection.complete(document["name"], document))
                return operation("operations", self._shown(collection, document))
        elif request.method == "PUT":
            document.update(request.document | {"name": document["name"]})
        return self._shown(collection, document)

    def _create(self, collection: Collection, request: Request) -> Document:
        name = request.path
        if collection.id_parameter:
            name += "/" + request.query[collection.id_parameter]
        document = collection.complete(name, request.document)
        if document["name"] in self.all:
            raise Refusal(409, f"{document['name']} exists already.")
        self._check_keys(collection, document)
        document.setdefault("createTime", "2026-01-01T00:00:00Z")
        self.all[document["name"]] = document
        shown = self._shown(collection, document)
        return operation(name.rpartition("/")[0].rpartition("/")[0], shown) if collection.has_operations else shown

    def _check_keys(self, collection: Collection, document: Document) -> None:
        for key in keys_named_in(document) if collection.agent else ():
            self._encrypt(collection.agent, key)

    def _get(self, name: str) -> Document:
        if name not in self.all:
            raise Refusal(404, f"{name} was not found.")
        return self.all[name]

    def _in_a_project(self, name: str) -> str:
        """Find what `projects/-/…` names: an account's e-mail address is unique."""
        found = [one for one in self.all if one.endswith(name.removeprefix("projects/-"))]
        return found[0] if name.startswith("projects/-/") and found else name

    @staticmethod
    def _shown(collection: Collection, document: Document) -> Document:
        if not collection.only_local_name:
            return document
        local = re.sub(collection.path + "/", "", document["name"], count=1)
        return {**document, "name": local}


def keys_named_in(document: Document) -> list[str]:
    """Return the KMS keys that stand anywhere in a resource."""
    return re.findall(r"projects/[^/\"]+/locations/[^/\"]+/keyRings/[^/\"]+/cryptoKeys/[^/\"']+", str(document))


def policy_answer(iam: Iam, resource: str, request: Request) -> Document:
    """Answer getIamPolicy or setIamPolicy of a resource that exists."""
    if request.verb == "getIamPolicy":
        return iam.policy(resource)
    return iam.set_policy(resource, request.document["policy"])
