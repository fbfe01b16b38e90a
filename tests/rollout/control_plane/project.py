"""The project itself: its number, its policy, and the APIs that are enabled in it."""

from tests.rollout.control_plane.documents import policy_answer
from tests.rollout.control_plane.iam import Iam
from tests.rollout.control_plane.rest import Document, Refusal, Request

__all__ = ["PROJECT", "PROJECT_NUMBER", "Project"]

PROJECT = "test-project"
PROJECT_NUMBER = "123456789012"


class Project:
    """Resource Manager and Service Usage for one project."""

    def __init__(self, iam: Iam) -> None:
        self._iam = iam
        self.enabled: set[str] = set()

    def answer(self, request: Request) -> Document:
        """Answer Resource Manager."""
        if request.path != f"projects/{PROJECT}":
            raise Refusal(403, f"Permission denied on {request.path} (or it may not exist)")
        if request.verb:
            return policy_answer(self._iam, request.path, request)
        return {
            "projectId": PROJECT,
            "projectNumber": PROJECT_NUMBER,
            "name": f"projects/{PROJECT_NUMBER}",
            "displayName": PROJECT,
            "lifecycleState": "ACTIVE",
            "state": "ACTIVE",
        }

    def answer_services(self, request: Request) -> Document:
        """Answer Service Usage."""
        if request.verb == "batchEnable":
            self.enabled.update(request.document["serviceIds"])
            return {"name": "operations/done", "done": True, "response": {}}
        if request.verb == "enable":
            self.enabled.add(request.path.rpartition("/")[2])
            return {"name": "operations/done", "done": True, "response": {}}
        if request.path.startswith("operations/"):
            return {"name": request.path, "done": True, "response": {}}
        services = [
            {"name": f"projects/{PROJECT_NUMBER}/services/{one}", "config": {"name": one}, "state": "ENABLED"}
            for one in sorted(self.enabled)
        ]
        if request.path.endswith("/services"):
            return {"services": services}
        name = request.path.rpartition("/")[2]
        return {
            "name": request.path,
            "config": {"name": name},
            "state": "ENABLED" if name in self.enabled else "DISABLED",
        }
