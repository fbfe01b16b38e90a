"""Cloud Storage: buckets, and the objects that Terraform uploads."""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable
from email import message_from_bytes
from typing import Any

from tests.rollout.control_plane.iam import Iam
from tests.rollout.control_plane.rest import Document, Refusal, Request

__all__ = ["Storage"]


class Storage:
    """The JSON API, as far as the module needs it."""

    def __init__(self, project_number: str, iam: Iam, encrypt: Callable[[str, str], None]) -> None:
        self._iam = iam
        self._encrypt = encrypt
        self._project_number = project_number
        self._generations = itertools.count(1)
        self.buckets: dict[str, Document] = {}
        self.objects: dict[tuple[str, str], tuple[Document, bytes]] = {}

    def answer(self, request: Request) -> Document:
        """Answer `b`, `b/BUCKET`, `b/BUCKET/iam`, `b/BUCKET/o` and `b/BUCKET/o/OBJECT`."""
        match request.path.split("/", 4):
            case ["b"]:
                return self._create_bucket(request)
            case ["b", bucket, "iam"]:
                return self._policy(bucket, request)
            case ["b", bucket, "o"]:
                self._bucket(bucket)
                return {
                    "kind": "storage#objects",
                    "items": [one for (at, _), (one, _) in self.objects.items() if at == bucket],
                }
            case ["b", bucket, "o", name]:
                return self._object(bucket, name, request)
            case ["b", _, "anywhereCaches"]:
                return {}
            case ["b", bucket]:
                return self._one_bucket(bucket, request)
        raise Refusal(404, f"no {request.path}")

    def upload(self, request: Request) -> Document:
        """Answer an upload in one request, `multipart/related`: the description, then the content."""
        bucket = request.path.split("/")[1]
        self._bucket(bucket)
        kind = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = message_from_bytes(kind + request.body).get_payload()
        if not isinstance(parts, list):
            raise Refusal(400, "an upload has two parts")
        first: Any = parts[0]
        description = json.loads(first.get_payload())
        start = request.body.index(b"\r\n\r\n", request.body.index(b"\r\n\r\n") + 4) + 4
        content = request.body[start : request.body.rindex(b"\r\n--")]
        name = request.query.get("name") or description["name"]
        generation = str(next(self._generations))
        document = {
            **description,
            "kind": "storage#object",
            "bucket": bucket,
            "name": name,
            "generation": generation,
            "metageneration": "1",
            "size": str(len(content)),
            "storageClass": "STANDARD",
            "md5Hash": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode(),
            "crc32c": "AAAAAA==",
            "mediaLink": f"{request.host}/download/{bucket}/{name}",
            "selfLink": f"{request.host}/storage/v1/b/{bucket}/o/{name}",
        }
        self.objects[bucket, name] = document, content
        return document

    def content(self, bucket: str, name: str) -> bytes:
        """Return an object's bytes. Raises Refusal."""
        if (bucket, name) not in self.objects:
            raise Refusal(404, f"No such object: {bucket}/{name}")
        return self.objects[bucket, name][1]

    def _create_bucket(self, request: Request) -> Document:
        document = request.document
        name = document["name"]
        if name in self.buckets:
            raise Refusal(409, "Your previous request to create the named bucket succeeded and you already own it.")
        if key := document.get("encryption", {}).get("defaultKmsKeyName"):
            self._encrypt("gs-project-accounts", key)
        self.buckets[name] = {
            "kind": "storage#bucket",
            "id": name,
            "selfLink": f"{request.host}/storage/v1/b/{name}",
            "projectNumber": self._project_number,
            "metageneration": "1",
            "storageClass": "STANDARD",
            "timeCreated": "2026-01-01T00:00:00Z",
            **document,
            "location": document["location"].upper(),
            "locationType": "region",
        }
        return self.buckets[name]

    def _one_bucket(self, name: str, request: Request) -> Document:
        bucket = self._bucket(name)
        if request.method == "DELETE":
            if any(at == name for at, _ in self.objects):
                raise Refusal(409, "The bucket you tried to delete is not empty.")
            del self.buckets[name]
            self._iam.forget(f"projects/_/buckets/{name}")
            return {}
        if request.method in {"PATCH", "PUT"}:
            bucket.update(request.document)
        return bucket

    def _object(self, bucket: str, name: str, request: Request) -> Document:
        self.content(bucket, name)
        if request.method == "DELETE":
            del self.objects[bucket, name]
            return {}
        return self.objects[bucket, name][0]

    def _policy(self, bucket: str, request: Request) -> Document:
        self._bucket(bucket)
        resource = f"projects/_/buckets/{bucket}"
        return (
            self._iam.policy(resource) if request.method == "GET" else self._iam.set_policy(resource, request.document)
        )

    def _bucket(self, name: str) -> Document:
        if name not in self.buckets:
            raise Refusal(404, "The specified bucket does not exist.")
        return self.buckets[name]
