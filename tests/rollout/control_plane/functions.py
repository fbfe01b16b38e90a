"""Cloud Functions: builds from the uploaded zip, and starts what was built with the environment it was given."""

import io
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import requests

from tests.rollout.control_plane.documents import operation
from tests.rollout.control_plane.iam import Iam
from tests.rollout.control_plane.identities import IdentityServices
from tests.rollout.control_plane.rest import Document, Refusal, Request, merge_patch
from tests.rollout.control_plane.storage import Storage
from xcapi_core.sandbox.services.errors import LocalServiceError
from xcapi_core.sandbox.services.function_process import FunctionProcess
from xcapi_core.sandbox.services.function_venv import FunctionVenv

__all__ = ["Functions"]

_PATH = re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/functions(/(?P<name>[^/]+))?")


class Functions:
    """The admin API, and the instances: one process a function, under the Functions Framework."""

    def __init__(
        self,
        *,
        cache: Path,
        iam: Iam,
        identity: Callable[[str], IdentityServices],
        encrypt: Callable[[str, str], None],
        project_number: str,
        storage: Storage,
        url: str,
    ) -> None:
        """`url` is where the functions' addresses begin; `cache` keeps the packages that they install."""
        self._cache = cache
        self._iam = iam
        self._identity = identity
        self._encrypt = encrypt
        self._project_number = project_number
        self._storage = storage
        self._url = url
        self._folder = Path(tempfile.mkdtemp(prefix="xcapi-functions-"))
        self.functions: dict[str, Document] = {}
        self.instances: dict[str, FunctionProcess] = {}
        self.revisions: list[Document] = []

    def answer(self, request: Request) -> Document:
        """Answer one request."""
        place = _PATH.fullmatch(request.path)
        if not place:
            raise Refusal(404, f"no {request.path}")
        if request.method == "POST":
            name = f"{request.path}/{request.query['functionId']}"
            if name in self.functions:
                raise Refusal(409, f"{name} exists already.")
            return self._deploy(name, {**request.document, "name": name}, build=True)
        function = self.functions.get(request.path)
        if function is None:
            raise Refusal(404, f"Resource '{request.path}' was not found")
        if request.method == "DELETE":
            self._delete(request.path)
            return operation(request.path.partition("/functions")[0], {})
        if request.method == "PATCH":
            merge_patch(function, request.document, request.query.get("updateMask", ""))
            return self._deploy(request.path, function, build="buildConfig" in request.query.get("updateMask", ""))
        return function

    def close(self) -> None:
        """Stop all instances."""
        for instance in self.instances.values():
            instance.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def service_of(self, uri: str) -> str | None:
        """Return the Cloud Run service behind an address."""
        for name, function in self.functions.items():
            if function["serviceConfig"].get("uri") == uri:
                return name.replace("/functions/", "/services/")
        return None

    def push(self, service: str, body: bytes) -> tuple[int, bytes]:
        """Pass a push on to the service's instance."""
        instance = self.instances[service.replace("/services/", "/functions/")]
        headers = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"}
        try:
            answer = requests.post(instance.url, body, headers=headers, timeout=120)
        except requests.RequestException:
            return 503, b""
        return answer.status_code, answer.content

    def _deploy(self, name: str, function: Document, *, build: bool) -> Document:
        parent = name.partition("/functions")[0]
        try:
            if key := function.get("kmsKeyName"):
                for agent in ("gcf-admin-robot", "serverless-robot-prod"):
                    self._encrypt(agent, key)
            if build:
                self._build(name, function)
            self._start(name, function)
        except Refusal as refusal:
            return self._failed(name, function, refusal)
        except LocalServiceError as error:
            return self._failed(name, function, Refusal(400, f"The container failed to start and listen: {error}"))
        self.functions[name] = function
        return operation(parent, {**function, "@type": "type.googleapis.com/google.cloud.functions.v2.Function"})

    def _failed(self, name: str, function: Document, refusal: Refusal) -> Document:
        """Keep a function whose first build failed, as Cloud Functions does: it is there, and serves nothing."""
        if name not in self.functions:
            function.update(state="FAILED", environment="GEN_2", serviceConfig={**function["serviceConfig"]})
            self.functions[name] = function
        return operation(name.partition("/functions")[0], {}, refusal)

    def _build(self, name: str, function: Document) -> None:
        """Build under the build identity: everything it needs, it must have been granted."""
        build = function["buildConfig"]
        builder = "serviceAccount:" + build["serviceAccount"].rpartition("/")[2]
        source = build["source"]["storageSource"]
        region = name.split("/")[3]
        project = "/".join(name.split("/")[:2])
        for bucket in (source["bucket"], f"gcf-v2-sources-{self._project_number}-{region}"):
            self._iam.require(builder, "storage.objects.get", f"projects/_/buckets/{bucket}/objects/{source['object']}")
        self._iam.require(builder, "logging.logEntries.create", project)
        folder = self._source_folder(name)
        shutil.rmtree(folder, ignore_errors=True)
        with zipfile.ZipFile(io.BytesIO(self._storage.content(source["bucket"], source["object"]))) as archive:
            archive.extractall(folder)
        if build["entryPoint"] not in (folder / "main.py").read_text():
            raise Refusal(400, f"main.py has no function {build['entryPoint']}")
        self._iam.require(builder, "artifactregistry.repositories.uploadArtifacts", build["dockerRepository"])
        build["build"] = f"{project}/locations/{region}/builds/{len(self.revisions)}"
        build.setdefault("automaticUpdatePolicy", {})

    def _start(self, name: str, function: Document) -> None:
        service = function["serviceConfig"]
        service["service"] = name.replace("/functions/", "/services/")
        service["uri"] = f"{self._url}/{name.rpartition('/')[2]}"
        function.update(state="ACTIVE", environment="GEN_2", url=service["uri"])
        self.revisions.append({"name": name, **service})
        service["revision"] = f"{name.rpartition('/')[2]}-{len(self.revisions):05d}"
        services = self._identity("serviceAccount:" + service["serviceAccountEmail"])
        folder = self._source_folder(name)
        instance = FunctionProcess(
            FunctionVenv.prepare(folder / "requirements.txt", self._cache),
            {},
            source=folder,
            target=function["buildConfig"]["entryPoint"],
            project=name.split("/")[1],
            pubsub_address=services.pubsub_address,
            secret_manager_address=services.secret_manager_address,
            extra_environment={
                "LOG_EXECUTION_ID": "true",  # as the platform has it, unless the function says otherwise
                "K_SERVICE": name.rpartition("/")[2],
                "K_REVISION": service["revision"],
                **service.get("environmentVariables", {}),
            },
        )
        instance.start()
        if previous := self.instances.pop(name, None):
            previous.kill()
        self.instances[name] = instance

    def _delete(self, name: str) -> None:
        if instance := self.instances.pop(name, None):
            instance.kill()
        self._iam.forget(self.functions.pop(name)["serviceConfig"].get("service", ""))
        shutil.rmtree(self._source_folder(name), ignore_errors=True)

    def _source_folder(self, name: str) -> Path:
        return self._folder / name.replace("/", "_")
