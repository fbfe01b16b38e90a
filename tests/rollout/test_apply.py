"""The module rolled out with the real provider, used, changed and removed. One story: the tests run in their order."""

import itertools
import json
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.e2e.deployment import oauth_payload
from tests.e2e.push import event, new_id
from tests.e2e.stack import wait_for
from tests.rollout.control_plane.plane import PROJECT, PROJECT_NUMBER
from tests.rollout.control_plane.rest import Refusal
from tests.rollout.log_filters import matches, texts
from tests.rollout.rollout import EXISTING_SECRET, PUBLISHER, READER, REPLAYER, Rollout, rolled_out
from tests.rollout.workspace import TerraformError
from xcapi_core.sandbox.services.pubsub_emulator import PubsubEmulator

NAME = "x-conversions"
SECRET = f"projects/{PROJECT}/secrets/{NAME}-o8z6j"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/{NAME}"
RUN, PUSH, BUILD = (f"{NAME}-{duty}@{PROJECT}.iam.gserviceaccount.com" for duty in ("run", "push", "build"))
KEPT = "google_pubsub_topic", "google_pubsub_subscription.", "google_secret_manager_secret."


@pytest.fixture(name="rollout", scope="module")
def applied(
    emulator: PubsubEmulator,
    tmp_path_factory: pytest.TempPathFactory,
    terraform_environment: Mapping[str, str],
    archive: Path,
) -> Iterator[Rollout]:
    folder, source = tmp_path_factory.mktemp("rollout"), str(archive)
    with rolled_out(emulator, folder, terraform_environment, source_archive=source) as rollout:
        yield rollout


def test_a_second_plan_shows_no_change(rollout: Rollout) -> None:
    assert rollout.workspace.plan().actions == {}
    assert rollout.plane.unknown == [], "the control plane was asked for what it does not know"


def test_outputs_name_what_was_created(rollout: Rollout) -> None:
    outputs = rollout.workspace.outputs()
    assert outputs["topic_id"] in rollout.plane.pubsub.topics
    assert outputs["dead_letter_topic_id"] in rollout.plane.pubsub.topics
    assert outputs["remainder_topic_id"] in rollout.plane.pubsub.topics
    assert outputs["remainder_subscription_id"] in rollout.plane.pubsub.subscriptions
    (revision,) = rollout.plane.functions.revisions
    assert outputs["config"] == revision["environmentVariables"]["XCAPI_CONFIG"]
    assert outputs["subscription_id"] in rollout.plane.pubsub.subscriptions
    assert outputs["dead_letter_subscription_id"] in rollout.plane.pubsub.subscriptions
    assert f"projects/{PROJECT}/locations/europe-west1/functions/{outputs['function_name']}" in rollout.plane.resources
    assert rollout.plane.functions.service_of(outputs["function_uri"])
    assert outputs["secret_ids"] == {"o8z6j": SECRET, "p9q7k": EXISTING_SECRET}
    assert outputs["service_accounts"] == {"run": RUN, "push": PUSH, "build": BUILD}


def test_subscriptions_are_as_the_delivery_needs_them(rollout: Rollout) -> None:
    pushing = rollout.plane.pubsub.subscriptions[SUBSCRIPTION]
    uri = rollout.workspace.outputs()["function_uri"]
    assert pushing["pushConfig"]["pushEndpoint"] == uri
    assert pushing["pushConfig"]["oidcToken"] == {"audience": uri, "serviceAccountEmail": PUSH}
    assert pushing["deadLetterPolicy"]["maxDeliveryAttempts"] == 5
    assert pushing["expirationPolicy"] == {}
    remainders = rollout.plane.pubsub.subscriptions[f"{SUBSCRIPTION}-remainder"]
    differs = {field for field in {*pushing, *remainders} if pushing.get(field) != remainders.get(field)}
    assert differs == {"name", "topic"}
    waiting = rollout.plane.pubsub.subscriptions[f"{SUBSCRIPTION}-dead-letter"]
    assert waiting["messageRetentionDuration"] == f"{31 * 24 * 3600}s"
    assert waiting["expirationPolicy"] == {}
    assert "pushEndpoint" not in waiting.get("pushConfig", {})


def test_the_function_runs_the_uploaded_zip_with_the_environment_it_was_given(rollout: Rollout) -> None:
    (revision,) = rollout.plane.functions.revisions
    environment = revision["environmentVariables"]
    assert environment["LOG_EXECUTION_ID"] == "false"
    assert environment["WORKERS"] == "1"
    assert json.loads(environment["XCAPI_CONFIG"])["api_base_url"] == rollout.sandbox.url
    assert revision["ingressSettings"] == "ALLOW_INTERNAL_ONLY"
    assert revision["serviceAccountEmail"] == RUN
    assert revision["maxInstanceCount"] == 1
    assert revision["maxInstanceRequestConcurrency"] == 500


def test_the_next_steps_put_the_keys_in_and_send_a_first_event(rollout: Rollout, tmp_path: Path) -> None:
    (tmp_path / "keys-o8z6j.json").write_bytes(oauth_payload())
    steps = rollout.workspace.outputs()["next_steps"]
    for line in steps.splitlines():
        # A shell without comments at its prompt, as zsh is, takes these for unknown commands, and no more.
        assert not line.startswith("#") or re.fullmatch(r"# [\w .,:/-]+", line), line
        assert line.startswith("#") or "#" not in line
    assert f"# Pixel p9q7k: {EXISTING_SECRET} was there before" in steps
    put, _, sent = steps.partition("# 2.")
    rollout.shell(put, tmp_path)
    assert not (tmp_path / "keys-o8z6j.json").exists()
    with pytest.raises(AssertionError, match="keys-o8z6j"):  # without them nothing is removed, and it is said
        rollout.shell(put, tmp_path)

    # As it stands, X knows no such tag: nothing that counts is sent.
    rollout.shell(f"# {sent.partition('# 3.')[0]}", tmp_path)
    wait_for(lambda: [one for one in rollout.collect() if one.attributes.get("xcapi_reason") == "rejected"])
    assert rollout.accepted() == []
    rollout.shell(f"# {sent.replace('TAG=tw-o8z6j-test', 'TAG=tw-o8z6j-o8z21')}", tmp_path)
    rollout.wait_for_accepted("first-event")
    assert "batch.delivered" in rollout.shell(f"# {sent.partition('# 3.')[2]}", tmp_path)


def test_published_events_arrive_at_x_through_the_created_push_subscription(rollout: Rollout) -> None:
    sent = [event() for _ in range(20)]
    rollout.publish(sent[:15])
    for one in sent[15:]:
        rollout.publish(one)
    other_pixel = event(pixel_id="p9q7k", event_id="tw-p9q7k-p9q31")
    rollout.publish(other_pixel)
    wanted = {str(one["conversion_id"]) for one in [*sent, other_pixel]}
    wait_for(lambda: wanted <= set(rollout.accepted()), timeout_s=120)


def test_bad_events_wait_in_the_created_dead_letter_subscription(rollout: Rollout) -> None:
    rollout.publish(b"no json")
    rollout.publish(event(event_id="tw-o8z6j-nobody", conversion_id="bad"))
    rollout.publish({"event": "purchase", "email": "not an address"})
    rollout.publish(event(consent=False))  # which leaves nothing but a line of the log
    reasons = {"invalid_message", "rejected", "invalid_event"}
    wait_for(lambda: {one.attributes.get("xcapi_reason") for one in rollout.collect()} >= reasons, timeout_s=120)


def test_nacked_events_come_back_by_the_created_policy(rollout: Rollout) -> None:
    rollout.sandbox.inject({"status": 503, "times": 2})
    late = event()
    rollout.publish(late)
    rollout.wait_for_accepted(str(late["conversion_id"]))
    attempts = [record for record in rollout.sandbox.requests() if record.status in {200, 503}][-3:]
    assert [record.status for record in attempts] == [503, 503, 200]
    # Without a back-off of its own a nack would come back at once.
    assert min(b.received_at - a.received_at for a, b in itertools.pairwise(attempts)) > 0.9


def test_what_is_tried_too_often_is_forwarded_to_the_created_dead_letter_subscription(rollout: Rollout) -> None:
    rollout.sandbox.inject({"status": 503})
    lost = json.dumps(event(conversion_id=new_id())).encode()
    rollout.publish(lost)
    wait_for(lambda: [one for one in rollout.collect() if one.data == lost], timeout_s=60)
    rollout.sandbox.clear_faults()
    (dead_letter,) = [one for one in rollout.dead_letters if one.data == lost]
    assert "xcapi_reason" not in dead_letter.attributes


def test_remainders_arrive_are_tried_as_often_and_are_given_up_as_events_are(rollout: Rollout) -> None:
    run = f"serviceAccount:{RUN}"
    waited = event()
    rollout.publish(waited, member=run, topic=f"{NAME}-remainder")
    rollout.wait_for_accepted(str(waited["conversion_id"]))
    rollout.sandbox.inject({"status": 503})
    lost = json.dumps(event(conversion_id=new_id())).encode()
    rollout.publish(lost, member=run, topic=f"{NAME}-remainder")
    wait_for(lambda: [one for one in rollout.collect() if one.data == lost], timeout_s=60)
    rollout.sandbox.clear_faults()


def test_dead_letters_are_for_those_who_may_look_and_sent_again_by_those_who_may(rollout: Rollout) -> None:
    subscription, topic = f"{SUBSCRIPTION}-dead-letter", f"projects/{PROJECT}/topics/{NAME}-dead-letter"
    for member in (READER, REPLAYER):
        rollout.plane.iam.require(member, "pubsub.topics.get", topic)
        rollout.plane.iam.require(member, "pubsub.subscriptions.get", subscription)
        rollout.plane.iam.require(member, "pubsub.subscriptions.consume", subscription)
    mended = event()
    rollout.publish(mended, member=REPLAYER, topic=f"{NAME}-remainder")
    rollout.wait_for_accepted(str(mended["conversion_id"]))
    for member, at in ((READER, f"{NAME}-remainder"), (READER, NAME), (REPLAYER, NAME)):
        assert not rollout.plane.iam.allows(member, "pubsub.topics.publish", f"projects/{PROJECT}/topics/{at}")


def test_refused_keys_are_seen(rollout: Rollout) -> None:
    rollout.sandbox.inject({"status": 401, "times": 4})
    rollout.publish(event())
    wait_for(lambda: "unauthorized" in {one.attributes.get("xcapi_reason") for one in rollout.collect()}, timeout_s=120)
    rollout.sandbox.clear_faults()


def log_based_metrics(rollout: Rollout) -> dict[str, float]:
    """Return what each metric would show, of the lines that the function has written."""
    labels = {
        "resource.type": "cloud_run_revision",
        "resource.labels.service_name": NAME,
        "log_id": "run.googleapis.com/stdout",
    }
    lines = rollout.function.log_entries
    counted: dict[str, float] = {}
    for name, metric in rollout.plane.documents.all.items():
        if f"/metrics/{NAME}/" not in name:
            continue
        found = [line for line in lines if matches(metric["filter"], line, labels)]
        for label, extractor in metric.get("labelExtractors", {}).items():
            # An extractor that finds nothing makes an empty label, and the chart by it says nothing.
            assert all(texts(extractor, found)), f"{name}: {label}"
        extractor = metric.get("valueExtractor")
        counted[name.rpartition("/")[2]] = sum(map(float, texts(extractor, found))) if extractor else len(found)
    return counted


def test_every_log_based_metric_counts_what_the_function_really_wrote(rollout: Rollout) -> None:
    """The filters and extractors, on the very lines of the story so far."""
    own_dead_letters = [one for one in rollout.dead_letters if "xcapi_reason" in one.attributes]
    # A dead letter overtakes the line about it: that comes through a pipe.
    wait_for(lambda: log_based_metrics(rollout)["unauthorized"])
    wait_for(lambda: log_based_metrics(rollout)["delivered"] == len(rollout.accepted()))
    wait_for(lambda: log_based_metrics(rollout)["dead_letters_published"] == len(own_dead_letters))
    counted = log_based_metrics(rollout)
    assert counted["delivered"] == len(rollout.accepted())
    for reason in ("invalid_event", "invalid_message", "rejected", "unauthorized"):
        assert counted[reason] == len([one for one in own_dead_letters if one.attributes["xcapi_reason"] == reason]), (
            reason
        )
    assert counted["conversions_sent"] >= counted["delivered"]
    assert counted["deferred"] >= 2 + 5
    assert counted["skipped"] == 1
    assert counted["x_latency"] > 0


def test_alerts_and_dashboard_ask_only_for_metrics_that_exist(rollout: Rollout) -> None:
    """Monitoring answers a misspelt name with silence: an alert on it would never fire."""
    documents = rollout.plane.documents.all
    kinds = {
        name.rpartition("/")[2]: document["metricDescriptor"]["valueType"]
        for name, document in documents.items()
        if f"/metrics/{NAME}/" in name
    }
    (dashboard,) = [one for name, one in documents.items() if "/dashboards/" in name]
    alerts = [one for name, one in documents.items() if "/alertPolicies/" in name]
    assert len(alerts) == 13
    asked = set(re.findall(r"user_x_conversions_(\w+)\{", json.dumps([dashboard, *alerts])))
    # PromQL reads a distribution by its sum, its count or its buckets, and a counter as it is.
    spelt = {
        name if kind == "INT64" else f"{name}_{part}" for name, kind in kinds.items() for part in ("sum", "bucket")
    }
    assert asked <= spelt
    assert {re.sub(r"_(sum|bucket)$", "", name) for name in asked} == set(kinds), "each metric is shown or watched"


def test_the_dashboard_shows_what_an_operator_asks_first(rollout: Rollout) -> None:
    (dashboard,) = [one for name, one in rollout.plane.documents.all.items() if "/dashboards/" in name]
    titles = " ".join(tile["widget"]["title"] for tile in dashboard["mosaicLayout"]["tiles"])
    for shown in ("Delivered", "Dead-lettered, by reason", "Deferred", "X's answers", "Backlog", "Rate budget"):
        assert shown in titles
    taken: set[tuple[int, int]] = set()
    for tile in dashboard["mosaicLayout"]["tiles"]:
        x, y = tile.get("xPos", 0), tile.get("yPos", 0)
        cells = {(x + dx, y + dy) for dx in range(tile["width"]) for dy in range(tile["height"])}
        assert x + tile["width"] <= dashboard["mosaicLayout"]["columns"]
        assert not cells & taken, "tiles lie on each other"
        taken |= cells


def test_the_runbooks_commands_run_as_they_stand(rollout: Rollout, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(oauth_payload())
    alerts = [one for name, one in rollout.plane.documents.all.items() if "/alertPolicies/" in name]
    blocks = [
        block for alert in alerts for block in re.findall(r"(?s)```sh\n(.*?)```", alert["documentation"]["content"])
    ]
    assert len(blocks) >= len(alerts)
    for block in blocks:
        rollout.shell(block, tmp_path)
    assert rollout.workspace.plan().actions == {}, "nothing that the next apply would take back"


def test_secrets_are_read_only_by_the_identity_that_was_granted_them(rollout: Rollout) -> None:
    assert rollout.read_secret(RUN, SECRET) == oauth_payload()
    for account in (PUSH, BUILD):
        with pytest.raises(Exception, match="denied") as refused:
            rollout.read_secret(account, SECRET)
        assert getattr(refused.value, "grpc_status_code", None) is grpc.StatusCode.PERMISSION_DENIED
    stranger = f"projects/{PROJECT}/secrets/somebody-elses"
    rollout.plane.payloads[stranger] = [b"{}"]
    with pytest.raises(Exception, match="denied"):
        rollout.read_secret(RUN, stranger)
    with pytest.raises(Refusal):
        rollout.plane.publish(
            "serviceAccount:nobody@other-project.iam.gserviceaccount.com", f"projects/{PROJECT}/topics/{NAME}", b"{}"
        )
    rollout.plane.iam.calls[:] = [call for call in rollout.plane.iam.calls if call.allowed]  # the refusals of this test


def test_every_call_is_covered_by_a_binding_and_no_binding_goes_unused(rollout: Rollout) -> None:
    calls = {(call.member, call.permission) for call in rollout.plane.iam.calls}
    agent = f"serviceAccount:service-{PROJECT_NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
    assert calls == {
        (f"serviceAccount:{BUILD}", "artifactregistry.repositories.uploadArtifacts"),
        (f"serviceAccount:{BUILD}", "logging.logEntries.create"),
        (f"serviceAccount:{BUILD}", "storage.objects.get"),
        (f"serviceAccount:{PUSH}", "run.routes.invoke"),
        (f"serviceAccount:{RUN}", "pubsub.topics.publish"),
        (f"serviceAccount:{RUN}", "secretmanager.versions.access"),
        (PUBLISHER, "pubsub.topics.publish"),
        (READER, "pubsub.subscriptions.consume"),
        (READER, "pubsub.subscriptions.get"),
        (READER, "pubsub.topics.get"),
        (REPLAYER, "pubsub.subscriptions.consume"),
        (REPLAYER, "pubsub.subscriptions.get"),
        (REPLAYER, "pubsub.topics.get"),
        (REPLAYER, "pubsub.topics.publish"),
        (agent, "iam.serviceAccounts.getOpenIdToken"),
        (agent, "pubsub.subscriptions.consume"),
        (agent, "pubsub.topics.publish"),
    }
    assert all(call.allowed for call in rollout.plane.iam.calls)
    assert rollout.plane.iam.bindings - rollout.plane.iam.used == set()


def test_only_the_build_has_anything_on_the_project_and_that_is_argued(rollout: Rollout) -> None:
    on_the_project = {one for one in rollout.plane.iam.bindings if one.resource == f"projects/{PROJECT}"}
    copies = f"projects/_/buckets/gcf-v2-sources-{PROJECT_NUMBER}-europe-west1"
    assert {(one.member, one.role, one.condition) for one in on_the_project} == {
        (f"serviceAccount:{BUILD}", "roles/logging.logWriter", ""),
        (
            f"serviceAccount:{BUILD}",
            "roles/storage.objectViewer",
            f'resource.name == "{copies}" || resource.name.startsWith("{copies}/")',
        ),
    }
    # europe-west10 begins with europe-west1.
    build, read = f"serviceAccount:{BUILD}", "storage.objects.get"
    assert rollout.plane.iam.allows(build, read, f"{copies}/objects/o.zip")
    assert not rollout.plane.iam.allows(build, read, f"{copies}0/objects/o.zip")


def test_no_secret_value_is_in_the_state(rollout: Rollout) -> None:
    state = rollout.workspace.state()
    assert SECRET in state
    for value in json.loads(oauth_payload()).values():
        assert value not in state
    assert "secret_manager_secret_version" not in state


ALERTS = (
    "configuration_invalid",
    "crashes",
    "dead_letters",
    "dead_letters_waiting",
    "dry_run",
    "keys_refused",
    "nothing_delivered",
    "oldest_event",
    "push_errors",
    "refuses_everything",
    "retention",
    "silence",
    "unreadable_consent",
)
# A variable's part that changes → what may change with it: attributes of what is updated, or "create".
CHANGES: Mapping[str, tuple[str, Any, Mapping[str, set[str]]]] = {
    "a setting": ("settings", {"consent": "require"}, {"google_cloudfunctions2_function.main": {"service_config"}}),
    "the back-off": (
        "delivery",
        {"max_backoff_s": 300},
        {f"google_pubsub_subscription.{name}": {"retry_policy"} for name in ("events", "remainder")},
    ),
    "memory": ("function", {"memory": "2Gi"}, {"google_cloudfunctions2_function.main": {"service_config"}}),
    "another publisher": (
        "publishers",
        [PUBLISHER, "group:jobs@example.com"],
        {'google_pubsub_topic_iam_member.publishers["group:jobs@example.com"]': {"create"}},
    ),
    "a notification channel": (
        "notification_channels",
        [f"projects/{PROJECT}/notificationChannels/1"],
        {f'google_monitoring_alert_policy.main["{key}"]': {"notification_channels"} for key in ALERTS},
    ),
}
# What a provider computes anew whenever something changes.
COMPUTED = {"effective_labels", "terraform_labels", "update_time", "url"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_variable_changes_only_what_it_should(rollout: Rollout, name: str) -> None:
    variable, value, expected = CHANGES[name]
    before = rollout.workspace.variables.get(variable)
    rollout.workspace.set(**{variable: {**(before or {}), **value} if isinstance(value, dict) else value})
    try:
        plan = rollout.workspace.plan()
    finally:
        rollout.workspace.set(**{variable: before})
    assert set(plan.actions) == set(expected)
    for address, attributes in expected.items():
        if attributes == {"create"}:
            assert plan.actions[address] == ("create",)
        else:
            assert plan.actions[address] == ("update",)
            assert plan.changed[address] - COMPUTED == attributes


def uploaded(rollout: Rollout) -> dict[str, bytes]:
    ((_, content),) = rollout.plane.storage.objects.values()
    path = rollout.repository.parent / "uploaded.zip"
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(name="checkout")
def packed(rollout: Rollout) -> Iterator[Path]:
    """Take the source from the checkout for a while: every other plan need not pack it."""
    archive = rollout.workspace.variables["source_archive"]
    rollout.workspace.set(source_archive=None)
    rollout.workspace.apply()
    yield rollout.repository
    rollout.workspace.set(source_archive=archive)
    rollout.workspace.apply()


def test_of_a_checkout_what_runs_is_uploaded_and_a_change_of_it_makes_a_new_revision_and_nothing_else(
    rollout: Rollout, checkout: Path
) -> None:
    undeployed = ("xcapi_core/cli/", "xcapi_core/sandbox/", "xcapi_core/__main__.py")
    package = [path for path in (checkout / "xcapi_core").rglob("*") if path.is_file()]
    names = [str(path.relative_to(checkout)) for path in package]
    expected = {"main.py", "requirements.txt"}
    expected |= {one for one in names if not one.startswith(undeployed) and "__pycache__" not in one}
    files = uploaded(rollout)
    assert set(files) == expected
    assert all(content == (checkout / name).read_bytes() for name, content in files.items())

    before, revisions = dict(rollout.plane.storage.objects), len(rollout.plane.functions.revisions)
    # Not what runs: neither tests nor times nor permissions make another zip.
    (checkout / "main.py").chmod(0o755)
    (checkout / "xcapi_core" / "sandbox" / "new.py").write_text("")
    (checkout / "main.py").touch()
    assert rollout.workspace.plan().actions == {}
    with (checkout / "main.py").open("a") as main:
        main.write("# another version\n")
    rollout.workspace.apply()
    assert len(rollout.plane.functions.revisions) == revisions + 1
    assert not set(before) & set(rollout.plane.storage.objects), "the old source is gone"
    assert b"# another version" in uploaded(rollout)["main.py"]
    late = event()
    rollout.publish(late)
    rollout.wait_for_accepted(str(late["conversion_id"]))


def test_another_pixel_needs_its_secret_its_grant_and_a_new_revision_and_no_event_is_lost(rollout: Rollout) -> None:
    pixels = {**rollout.workspace.variables["pixels"], "q1w2e": {"event_ids": {"purchase": "tw-q1w2e-q1w21"}}}
    rollout.workspace.set(pixels=pixels)
    secret = f"projects/{PROJECT}/secrets/{NAME}-q1w2e"
    assert rollout.workspace.plan().actions == {
        'google_secret_manager_secret.keys["q1w2e"]': ("create",),
        f'google_secret_manager_secret_iam_member.run["{secret}"]': ("create",),
        "google_cloudfunctions2_function.main": ("update",),
    }
    sent: list[str] = []
    applied = threading.Event()

    def keep_publishing() -> None:
        while not applied.wait(0.2):
            sent.append(new_id())
            rollout.publish(event(conversion_id=sent[-1]))

    publisher = threading.Thread(target=keep_publishing)
    publisher.start()
    try:
        rollout.workspace.apply()
    finally:
        applied.set()
        publisher.join()
    assert len(sent) > 10
    wait_for(lambda: set(sent) <= set(rollout.accepted()), timeout_s=60)
    assert rollout.plane.pubsub.subscriptions[SUBSCRIPTION], "the same one"
    assert secret in rollout.plane.documents.all


def test_a_changed_filter_is_refused_since_it_would_drop_the_backlog(rollout: Rollout) -> None:
    delivery = rollout.workspace.variables["delivery"]
    rollout.workspace.set(delivery={**delivery, "filter": 'attributes.pixel_id = "o8z6j"'})
    try:
        with pytest.raises(TerraformError, match=r"deletion_policy|PREVENT|prevent"):
            rollout.workspace.apply()
    finally:
        rollout.workspace.set(delivery=delivery)
    assert SUBSCRIPTION in rollout.plane.pubsub.subscriptions
    rollout.workspace.apply()
    assert rollout.workspace.plan().actions == {}


def test_destroy_refuses_to_lose_secrets_and_events(rollout: Rollout) -> None:
    protected = {
        one for one in rollout.plane.resources if "/topics/" in one or "/subscriptions/" in one or "/secrets/" in one
    }
    assert len(protected) == 9
    with pytest.raises(TerraformError, match="deletion"):
        rollout.workspace.destroy()
    assert protected <= rollout.plane.resources
    assert rollout.plane.payloads[SECRET][-1] == oauth_payload()
    # What the attempt took away, an apply brings back.
    rollout.workspace.apply()
    late = event()
    rollout.publish(late)
    rollout.wait_for_accepted(str(late["conversion_id"]))


def test_destroy_leaves_nothing_once_the_protection_is_off(rollout: Rollout) -> None:
    rollout.workspace.set(deletion_protection=False)
    plan = rollout.workspace.plan()
    assert all(actions == ("update",) and address.startswith(KEPT) for address, actions in plan.actions.items())
    rollout.workspace.apply()
    rollout.workspace.destroy()
    assert rollout.plane.resources == {EXISTING_SECRET}, "not ours"
    assert rollout.plane.iam.bindings == set()
    assert rollout.plane.functions.instances == {}
    assert rollout.plane.project.enabled, "other things in the project may need the APIs"
    assert rollout.plane.unknown == []
