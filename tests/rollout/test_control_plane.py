"""The control plane is strict where the module could be wrong: what an apply to it shows is worth as much as that."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.rollout.control_plane.iam import Binding, Call, Iam
from tests.rollout.control_plane.kms import Kms
from tests.rollout.control_plane.rest import Refusal, as_proto3, merge_patch
from tests.rollout.log_filters import matches

RUN = "serviceAccount:run@p.iam.gserviceaccount.com"
TOPIC = "projects/p/topics/t"


def policy(role: str, member: str = RUN, **more: Any) -> dict[str, Any]:
    return {"version": 3 if more else 1, "bindings": [{"role": role, "members": [member], **more}]}


@pytest.fixture(name="iam")
def empty_iam() -> Iam:
    return Iam(knows=lambda account: account.startswith("run@"))


def test_a_call_without_a_binding_is_refused_and_noted(iam: Iam) -> None:
    with pytest.raises(Refusal, match="403"):
        iam.require(RUN, "pubsub.topics.publish", TOPIC)
    assert iam.calls == [Call(RUN, "pubsub.topics.publish", TOPIC, allowed=False)]


def test_a_binding_holds_for_its_resource_its_member_and_its_permissions(iam: Iam) -> None:
    iam.set_policy(TOPIC, policy("roles/pubsub.publisher"))
    iam.require(RUN, "pubsub.topics.publish", TOPIC)
    assert iam.used == {Binding(TOPIC, "roles/pubsub.publisher", RUN)}
    for member, permission, resource in [
        ("serviceAccount:other@p.iam.gserviceaccount.com", "pubsub.topics.publish", TOPIC),
        (RUN, "pubsub.subscriptions.consume", TOPIC),
        (RUN, "pubsub.topics.publish", f"{TOPIC}-2"),
    ]:
        with pytest.raises(Refusal):
            iam.require(member, permission, resource)


def test_a_binding_on_the_project_holds_below_it_and_a_condition_narrows_it(iam: Iam) -> None:
    iam.set_policy("projects/p", policy("roles/pubsub.publisher"))
    assert iam.allows(RUN, "pubsub.topics.publish", TOPIC)
    bucket = "projects/_/buckets/gcf-v2-sources-1-eu"
    condition = {"title": "t", "expression": f'resource.name == "{bucket}" || resource.name.startsWith("{bucket}/")'}
    iam.set_policy("projects/p", policy("roles/storage.objectViewer", condition=condition))
    assert iam.allows(RUN, "storage.objects.get", f"{bucket}/objects/o")
    assert iam.allows(RUN, "storage.objects.list", bucket)
    assert not iam.allows(RUN, "storage.objects.get", f"{bucket}1/objects/o")
    assert not iam.allows(RUN, "storage.objects.get", "projects/_/buckets/other/objects/o")
    assert not iam.allows(RUN, "pubsub.topics.publish", TOPIC), "the policy before was replaced"


@pytest.mark.parametrize(
    "wrong",
    [
        policy("roles/pubsub.publisher", "serviceAccount:nobody@p.iam.gserviceaccount.com"),
        policy("roles/pubsub.publisher", "run@p.iam.gserviceaccount.com"),
        policy("roles/owner"),
        {**policy("roles/pubsub.publisher"), "etag": "an older one"},
        {**policy("roles/pubsub.publisher", condition={"title": "t", "expression": "true"}), "version": 1},
    ],
    ids=[
        "a member that does not exist",
        "a member without its kind",
        "an unknown role",
        "a stale etag",
        "no version 3",
    ],
)
def test_a_wrong_policy_is_refused(iam: Iam, wrong: Mapping[str, Any]) -> None:
    with pytest.raises(Refusal):
        iam.set_policy(TOPIC, dict(wrong))


def test_a_deleted_account_is_a_member_by_another_name_and_may_do_nothing(iam: Iam) -> None:
    iam.set_policy(TOPIC, policy("roles/pubsub.publisher"))
    iam.forget(f"projects/p/serviceAccounts/{RUN.partition(':')[2]}")
    assert not iam.allows(RUN, "pubsub.topics.publish", TOPIC)
    (binding,) = iam.bindings
    assert binding.member.startswith("deleted:serviceAccount:run@")


def test_a_late_grant_is_there_and_not_in_force(iam: Iam) -> None:
    iam.delays_grants = True
    iam.set_policy(TOPIC, policy("roles/pubsub.publisher"))
    assert not iam.allows(RUN, "pubsub.topics.publish", TOPIC)
    iam.late.clear()
    assert iam.allows(RUN, "pubsub.topics.publish", TOPIC)


def test_what_was_written_under_a_key_is_read_with_that_key(iam: Iam) -> None:
    kms = Kms(iam, lambda _: RUN)
    use = policy("roles/cloudkms.cryptoKeyEncrypterDecrypter")
    for key in ("old", "new"):
        kms.add_key(key)
        iam.set_policy(key, dict(use))
    kms.note_published("old", ["1"])
    kms.note_version("secret", ["old"])
    kms.note_published("new", ["2"])
    kms.decrypt_message("1")
    kms.decrypt_newest_version("secret")
    iam.set_policy("old", {"bindings": []})
    kms.decrypt_message("2")
    with pytest.raises(Refusal, match="useToDecrypt"):
        kms.decrypt_message("1")
    with pytest.raises(Refusal, match="useToDecrypt"):
        kms.decrypt_newest_version("secret")
    kms.note_version("secret", ["new"])
    kms.decrypt_newest_version("secret")


def test_answers_leave_defaults_out_as_proto3_does() -> None:
    document = {"xPos": 0, "name": "n", "on": False, "tiles": [{"y": 0, "x": 1}], "labels": {}, "expirationPolicy": {}}
    assert as_proto3(document) == {"name": "n", "tiles": [{"x": 1}], "expirationPolicy": {}}


def test_an_update_mask_takes_what_it_names_and_nothing_else() -> None:
    document = {"a": {"b": 1, "c": 2}, "d": 3, "e": 4}
    merge_patch(document, {"a": {"b": 5, "c": 6}, "d": 7}, "a.b,e")
    assert document == {"a": {"b": 5, "c": 2}, "d": 3}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('jsonPayload.event="x.y"', True),
        ('jsonPayload.event="x.z"', False),
        ('jsonPayload.event=("x.z" OR "x.y") jsonPayload.n>0', True),
        ("jsonPayload.n>2", False),
        ("jsonPayload.n>=2", True),
        ("jsonPayload.missing>=0", False),
        ('jsonPayload.event=~"^x[.]" resource.type="r"', True),
        ('resource.type="s"', False),
        ("(jsonPayload.missing>0 OR jsonPayload.n>0)", True),
        ('(jsonPayload.missing>0 OR jsonPayload.n>5) resource.type="r"', False),
        ("jsonPayload.n:*", True),
        ("jsonPayload.missing:*", False),
        ('log_id("run.googleapis.com/varlog/system")', False),
    ],
)
def test_filters_are_read_as_cloud_logging_reads_them(text: str, *, holds: bool) -> None:
    assert matches(text, {"event": "x.y", "n": 2}, {"resource.type": "r"}) is holds
