"""Who may do what: policies by resource, and a journal of every call that had to be allowed."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.rollout.control_plane.rest import Document, Refusal

__all__ = ["Binding", "Call", "Iam"]

# Of Google's "IAM roles and permissions index": those permissions of each role that anything here asks for.
ROLES = {
    "roles/artifactregistry.writer": {"artifactregistry.repositories.uploadArtifacts"},
    "roles/bigquery.jobUser": {"bigquery.jobs.create"},
    "roles/cloudkms.cryptoKeyEncrypterDecrypter": {
        "cloudkms.cryptoKeyVersions.useToDecrypt",
        "cloudkms.cryptoKeyVersions.useToEncrypt",
    },
    "roles/iam.serviceAccountTokenCreator": {"iam.serviceAccounts.getOpenIdToken"},
    "roles/logging.logWriter": {"logging.logEntries.create"},
    "roles/pubsub.publisher": {"pubsub.topics.publish"},
    "roles/pubsub.subscriber": {"pubsub.subscriptions.consume"},
    "roles/pubsub.viewer": {"pubsub.subscriptions.get", "pubsub.topics.get"},
    "roles/run.invoker": {"run.routes.invoke"},
    "roles/secretmanager.secretAccessor": {"secretmanager.versions.access"},
    "roles/storage.legacyBucketReader": {"storage.buckets.get", "storage.objects.list"},
    "roles/storage.objectUser": {"storage.objects.create", "storage.objects.get", "storage.objects.list"},
    "roles/storage.objectViewer": {"storage.objects.get", "storage.objects.list"},
}
_TERM = re.compile(r'resource\.name(?P<whole> == |\.startsWith\()"(?P<name>[^"]*)"\)?')
_MEMBER = re.compile(
    r"(user|serviceAccount|group|domain):[^:\s]+|(principal|principalSet)://\S+|deleted:serviceAccount:[^:\s]+\?uid=\d+"
    r"|allUsers"
)


@dataclass(frozen=True, slots=True, order=True)
class Binding:
    """One member's role on one resource; `condition` is an expression on the resource's name."""

    resource: str
    role: str
    member: str
    condition: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One use of a permission, and whether it was allowed."""

    member: str
    permission: str
    resource: str
    allowed: bool


class Iam:
    """Policies as they were set, enforced on every call that is made through `require`."""

    def __init__(self, *, knows: Callable[[str], bool], on_change: Callable[[], None] = lambda: None) -> None:
        """`knows` tells whether a service account exists; Google refuses members that do not."""
        self._policies: dict[str, Document] = {}
        self.late: set[Binding] = set()  # granted, and not in force yet
        self.delays_grants = False
        self._etags = itertools.count(1)
        self._knows = knows
        self._on_change = on_change
        self.calls: list[Call] = []
        self.used: set[Binding] = set()

    def policy(self, resource: str) -> Document:
        """Answer getIamPolicy."""
        return self._policies.get(resource, {"version": 1, "etag": "none"})

    def set_policy(self, resource: str, policy: Document) -> Document:
        """Answer setIamPolicy: optimistic locking, and members must exist."""
        if policy.get("etag", self.policy(resource)["etag"]) != self.policy(resource)["etag"]:
            raise Refusal(409, "There were concurrent policy changes.")
        for binding in policy.get("bindings", []):
            if binding["role"] not in ROLES:
                raise Refusal(400, f"Role {binding['role']} is not supported for this resource.")
            if binding.get("condition") and policy.get("version") != 3:
                raise Refusal(400, "Conditional bindings need policy version 3.")
            for member in binding["members"]:
                kind, _, account = member.partition(":")
                if not _MEMBER.fullmatch(member) or (kind == "serviceAccount" and not self._knows(account)):
                    raise Refusal(400, f"Service account {account} does not exist.")
        kept = [binding for binding in policy.get("bindings", []) if binding["members"]]
        for binding in kept:
            _holds((binding.get("condition") or {}).get("expression", ""), resource)  # refuses what it cannot read
        new = {"version": policy.get("version", 1), "etag": f"e{next(self._etags)}", "bindings": kept}
        before = self.bindings
        self._policies[resource] = new
        if self.delays_grants:
            self.late |= self.bindings - before
        self._on_change()
        return new

    def forget(self, resource: str) -> None:
        """Drop the policy of a deleted resource; a deleted account stays a member, by a name that nobody has."""
        self._policies.pop(resource, None)
        account = re.fullmatch(r"projects/[^/]+/serviceAccounts/([^/]+)", resource)
        if account:
            gone = f"serviceAccount:{account[1]}"
            for policy in self._policies.values():
                for binding in policy["bindings"]:
                    binding["members"] = [f"deleted:{one}?uid=1" if one == gone else one for one in binding["members"]]

    @property
    def bindings(self) -> set[Binding]:
        """Every binding there is."""
        return {
            Binding(resource, binding["role"], member, (binding.get("condition") or {}).get("expression", ""))
            for resource, policy in self._policies.items()
            for binding in policy.get("bindings", [])
            for member in binding["members"]
        }

    def allows(self, member: str, permission: str, resource: str) -> bool:
        """Judge without a trace."""
        return bool(self._granting(member, permission, resource))

    def require(self, member: str, permission: str, resource: str) -> None:
        """Judge a call and note it down. Raises Refusal."""
        granting = self._granting(member, permission, resource)
        self.calls.append(Call(member, permission, resource, allowed=bool(granting)))
        self.used |= granting
        if not granting:
            raise Refusal(403, f"Permission '{permission}' denied on resource '{resource}' for {member}.")

    def _granting(self, member: str, permission: str, resource: str) -> set[Binding]:
        """Return the bindings that allow it, on the resource itself or above it."""
        return {
            binding
            for binding in self._in_force()
            if binding.member == member
            and permission in ROLES[binding.role]
            and _covers(binding.resource, resource)
            and _holds(binding.condition, resource)
        }

    def _in_force(self) -> set[Binding]:
        return self.bindings - self.late


def _covers(holder: str, resource: str) -> bool:
    # Buckets belong to no project by name: a role on the project reaches them all.
    is_project = re.fullmatch(r"projects/[^/]+", holder) is not None
    return (
        resource == holder or resource.startswith(holder + "/") or (is_project and resource.startswith("projects/_/"))
    )


def _holds(condition: str, resource: str) -> bool:
    """Judge the one kind of condition that the module needs: names, or how they begin, joined by "or"."""
    if not condition:
        return True
    terms = [_TERM.fullmatch(term) for term in condition.split(" || ")]
    read = [term for term in terms if term]
    if len(read) != len(terms):
        raise Refusal(400, "this control plane reads resource.name == … and resource.name.startsWith(…) only")
    return any(
        resource == term["name"] if term["whole"] == " == " else resource.startswith(term["name"]) for term in read
    )
