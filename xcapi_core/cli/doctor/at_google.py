"""The checks at Google Cloud: topics, subscriptions, the dead letters' subscription, who may do what."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from google.api_core import exceptions
from google.pubsub_v1.types import Subscription

from xcapi_core.cli.doctor.check import Check, Checks
from xcapi_core.cli.google.clients import new_publisher, new_subscriber
from xcapi_core.cli.google.errors import GOOGLE_ERRORS, brief_retry, sentence
from xcapi_core.cli.google.monitoring import WAITING, newest_values
from xcapi_core.settings import Settings

if TYPE_CHECKING:
    from google.iam.v1.policy_pb2 import Policy  # type: ignore[import-untyped]  # Google ships no types for it

__all__ = ["ChecksAtGoogle"]

_TIMEOUT_S: Final = 15.0
_LEAST_MARGIN_S: Final = 20
_FEWEST_ATTEMPTS: Final = 20
_APPLY: Final = "`terraform apply` of the module makes it as it must be."
_LOOK_AT_THEM: Final = "`xcapi dlq list` says why; `xcapi dlq replay` sends them again once that is mended."
_AGENT: Final = "@gcp-sa-pubsub.iam.gserviceaccount.com"
_NOT_TOLD: Final = "not told"
_UNKNOWN_TO_AN_EMULATOR: Final = "an emulator does not know it"
# What Google answers where the caller may not look, and an emulator where it knows no such thing.
_UNSEEN: Final = (exceptions.PermissionDenied, exceptions.MethodNotImplemented, exceptions.Unknown)
_Found = TypeVar("_Found")


class ChecksAtGoogle:
    """Yields the checks from `topic` to `permissions`; what was not told is skipped."""

    def __init__(self, settings: Settings, *, topic: str | None, subscription: str | None) -> None:
        self._settings = settings
        self._topic = topic
        self._subscription = subscription
        self._checks = Checks()
        self._is_emulator = bool(os.environ.get("PUBSUB_EMULATOR_HOST"))

    def __iter__(self) -> Iterator[Check]:
        """Look at topics, then subscriptions, then the dead letters', then permissions."""
        dead_letters, remainder = self._settings.dead_letter_topic, self._settings.remainder_topic
        yield from self._topic_check("the events' topic", self._topic, "--topic")
        yield from self._topic_check("the dead letters' topic", dead_letters, "dead_letter_topic")
        yield from self._topic_check("the remainders' topic", remainder, "remainder_topic")
        yield from self._subscription_check("the events' subscription", self._subscription)
        yield from self._remainder_subscription(remainder)
        yield from self._dead_letter_subscription(dead_letters)
        yield from self._permissions()

    def _topic_check(self, what: str, topic: str | None, told_by: str) -> Iterator[Check]:
        if topic is None:
            yield self._checks.skipped("topic", f"{what}: {_NOT_TOLD} ({told_by})")
        elif topic.startswith("file:"):
            yield self._checks.skipped("topic", f"{what} is a file")
        else:
            found = self._look(
                "topic", what, lambda: new_publisher().get_topic(topic=topic, retry=brief_retry(), timeout=_TIMEOUT_S)
            )
            yield found if isinstance(found, Check) else self._checks.ok("topic", f"{what}: {topic}")

    def _subscription_check(self, what: str, name: str | None) -> Iterator[Check]:
        if name is None:
            yield self._checks.skipped("subscription", f"{what}: {_NOT_TOLD} (--subscription)")
            return
        found = self._get_subscription("subscription", what, name)
        yield found if isinstance(found, Check) else self._judge_subscription(what, found)

    def _judge_subscription(self, what: str, found: Subscription) -> Check:
        """Hold a push subscription against what the function needs of it."""
        faults = list(self._faults_of(found))
        push = found.push_config
        identity = push.oidc_token.service_account_email or "nobody"
        shown = f"{what}: {push.push_endpoint or 'pulled'} as {identity}, ack deadline {found.ack_deadline_seconds} s"
        if faults:
            return self._checks.failed("subscription", f"{shown}; {'; '.join(faults)}", _APPLY)
        return self._checks.ok("subscription", shown)

    def _faults_of(self, found: Subscription) -> Iterator[str]:
        needed = int(self._settings.settle_timeout_s) + _LEAST_MARGIN_S
        policy = found.dead_letter_policy
        if not found.push_config.push_endpoint:
            yield "it has no push endpoint, so nothing reaches the function"
        elif not found.push_config.oidc_token.service_account_email and not self._is_emulator:
            yield "its pushes carry no identity"
        if found.ack_deadline_seconds < needed:
            yield f"the ack deadline must be {needed} s or more (settle_timeout_s + {_LEAST_MARGIN_S})"
        if not policy.dead_letter_topic:
            yield "it has no dead-letter policy: what fails for ever is lost when its retention ends"
        elif policy.dead_letter_topic != self._settings.dead_letter_topic:
            yield f"it dead-letters to {policy.dead_letter_topic}, the function to {self._settings.dead_letter_topic}"
        elif policy.max_delivery_attempts < _FEWEST_ATTEMPTS:
            yield f"{policy.max_delivery_attempts} delivery attempts are soon spent; every 429 and 503 counts as one"
        if found.retry_policy.minimum_backoff <= timedelta():
            yield "it has no back-off, so that what must wait comes back at once"

    def _remainder_subscription(self, topic: str | None) -> Iterator[Check]:
        if topic is None or topic.startswith("file:"):
            yield self._checks.skipped("subscription", f"the remainders' subscription: {_NOT_TOLD} (remainder_topic)")
            return
        names = self._subscriptions_of(topic, "subscription")
        if isinstance(names, Check):
            yield names
        elif len(names) == 1:
            yield from self._subscription_check("the remainders' subscription", names[0])
        else:
            found = f"the remainders' topic has {len(names)} subscriptions, and needs one, which pushes to the function"
            yield self._checks.failed("subscription", found, _APPLY)

    def _dead_letter_subscription(self, topic: str) -> Iterator[Check]:
        check = "dead_letter_subscription"
        if topic.startswith("file:"):
            yield self._checks.skipped(check, "dead letters go to a file")
            return
        names = self._subscriptions_of(topic, check)
        if isinstance(names, Check):
            yield names
            return
        if not names:
            yield self._checks.failed(check, "none: every dead letter is lost as it is published", _APPLY)
        for name in names:
            found = self._get_subscription(check, name, name)
            yield found if isinstance(found, Check) else self._judge_dead_letters(found)

    def _judge_dead_letters(self, found: Subscription) -> Check:
        check = "dead_letter_subscription"
        waiting = self._waiting(found.name)
        backlog = "backlog not told" if waiting is None else f"{waiting:,} waiting"
        shown = f"{found.name}, kept {found.message_retention_duration.days} days, {backlog}"
        if found.push_config.push_endpoint:
            return self._checks.warning(check, f"{shown}, pushed", "`xcapi dlq` needs a subscription that is pulled.")
        if found.expiration_policy.ttl > timedelta():
            fix = f"gcloud pubsub subscriptions update {found.name} --expiration-period=never"
            return self._checks.warning(check, f"{shown}; it expires when nobody looks for long", fix)
        if waiting:
            return self._checks.warning(check, shown, _LOOK_AT_THEM)
        return self._checks.ok(check, shown)

    def _waiting(self, subscription: str) -> int | None:
        """Return how many messages wait, None where Cloud Monitoring does not tell."""
        if self._is_emulator and not os.environ.get("CLOUD_MONITORING_EMULATOR_HOST"):
            return None
        try:
            values = newest_values(subscription.split("/")[1], WAITING)
        except GOOGLE_ERRORS:
            return None
        found = values.get(subscription.rpartition("/")[2])
        return None if found is None else int(found)

    def _permissions(self) -> Iterator[Check]:
        if self._is_emulator:
            yield self._checks.skipped("permissions", _UNKNOWN_TO_AN_EMULATOR)
            return
        publishing, subscribing = ("roles/pubsub.publisher",), ("roles/pubsub.subscriber",)
        dead_letters, remainder = self._settings.dead_letter_topic, self._settings.remainder_topic
        if not any((name or "").startswith("projects/") for name in (dead_letters, remainder, self._subscription)):
            yield self._checks.skipped("permissions", "no topic or subscription to look at")
        if dead_letters.startswith("projects/"):
            yield self._holders("Pub/Sub publishes spent messages to", dead_letters, publishing, agent=True)
            yield self._holders("the function publishes dead letters to", dead_letters, publishing, agent=False)
        if remainder and remainder.startswith("projects/"):
            yield self._holders("the function publishes remainders to", remainder, publishing, agent=False)
        if self._subscription:
            yield self._holders("Pub/Sub takes spent messages from", self._subscription, subscribing, agent=True)

    def _holders(self, what: str, resource: str, roles: tuple[str, ...], *, agent: bool) -> Check:
        """Look for a grant on the resource itself; one on the project is not seen here."""

        def policy_of() -> "Policy":
            client = new_subscriber() if "/subscriptions/" in resource else new_publisher()
            return client.get_iam_policy(request={"resource": resource}, retry=brief_retry(), timeout=_TIMEOUT_S)

        policy = self._look("permissions", f"{what} {resource}", policy_of)
        if isinstance(policy, Check):
            return policy
        members = [member for binding in policy.bindings if binding.role in roles for member in binding.members]
        if any((_AGENT in member) is agent for member in members):
            return self._checks.ok("permissions", f"{what} {resource}")
        who = "Pub/Sub's service agent" if agent else "the function's service account"
        command = "subscriptions" if "/subscriptions/" in resource else "topics"
        member = f"service-PROJECT_NUMBER{_AGENT}" if agent else "RUN_ACCOUNT"
        fix = (
            f"Fine where the project grants it. Otherwise: gcloud pubsub {command} add-iam-policy-binding {resource} "
            f"--role={roles[0]} --member=serviceAccount:{member}"
        )
        return self._checks.warning("permissions", f"{what} {resource}: no {roles[0]} for {who} on it", fix)

    def _get_subscription(self, check: str, what: str, name: str) -> Subscription | Check:
        def subscription() -> Subscription:
            return new_subscriber().get_subscription(subscription=name, retry=brief_retry(), timeout=_TIMEOUT_S)

        return self._look(check, what, subscription)

    def _subscriptions_of(self, topic: str, check: str) -> list[str] | Check:
        def names() -> list[str]:
            return list(
                new_publisher().list_topic_subscriptions(
                    request={"topic": topic}, retry=brief_retry(), timeout=_TIMEOUT_S
                )
            )

        return self._look(check, f"the subscriptions of {topic}", names)

    def _look(self, check: str, what: str, ask: Callable[[], _Found]) -> _Found | Check:
        try:
            return ask()
        except exceptions.NotFound:
            return self._checks.failed(check, f"{what} does not exist", _APPLY)
        except _UNSEEN as error:
            return self._checks.skipped(check, sentence(error, what))
        except GOOGLE_ERRORS as error:
            return self._checks.failed(check, sentence(error, what), "Do what it says, then run this again.")
