"""The subscription of the dead letters: the one that is named, else the only one of the configuration's topic."""

import click
from google.api_core import exceptions
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.types import Subscription

from xcapi_core.cli.google.errors import brief_retry, google_errors, sentence
from xcapi_core.cli.google.names import full_name
from xcapi_core.settings import Settings

__all__ = ["describe_subscription", "find_dead_letter_subscription", "objection"]

_TIMEOUT_S = 20.0


def find_dead_letter_subscription(
    publisher: PublisherClient, given: str | None, project: str | None, settings: Settings | None
) -> str:
    """Return its full name; wrong usage, with what there is, where that is not one."""
    if given:
        return full_name("subscriptions", given, project, settings)
    if settings is None:
        raise click.UsageError("Which subscription? Give --subscription, or a configuration with a dead_letter_topic.")
    topic = settings.dead_letter_topic
    if not topic.startswith("projects/"):
        raise click.UsageError("The configuration's dead_letter_topic is a file: give --subscription.")
    with google_errors(f"The topic {topic}"):
        found = sorted(publisher.list_topic_subscriptions(topic=topic, retry=brief_retry(), timeout=_TIMEOUT_S))
    if len(found) == 1:
        return found[0]
    if not found:
        name = topic.rpartition("/")[2]
        raise click.ClickException(
            f"{topic} has no subscription: its dead letters are kept nowhere. Make one:\n"
            f"gcloud pubsub subscriptions create {name} --topic={topic} --expiration-period=never"
        )
    listed = "\n".join(f"  --subscription {name}" for name in found)
    raise click.UsageError(f"{topic} has {len(found)} subscriptions. Give one of them:\n{listed}")


def describe_subscription(subscriber: SubscriberClient, name: str) -> Subscription | None:
    """Return what Pub/Sub knows of it; None, with a warning, where the user may not ask."""
    try:
        return subscriber.get_subscription(subscription=name, retry=brief_retry(), timeout=_TIMEOUT_S)
    except exceptions.PermissionDenied:
        click.echo(f"Warning: you may not see the settings of {name} (pubsub.subscriptions.get).", err=True)
        return None
    except exceptions.GoogleAPIError as error:
        raise click.ClickException(sentence(error, f"The subscription {name}")) from error


def objection(subscription: Subscription) -> str:
    """Return why dead letters should not be taken from it, "" where nothing speaks against it."""
    if (
        subscription.push_config.push_endpoint
        or subscription.bigquery_config.table
        or (subscription.cloud_storage_config.bucket)
    ):
        return "it pushes: somebody else is sent its messages"
    if subscription.dead_letter_policy.dead_letter_topic:
        return "it has a dead-letter policy of its own: what is given back here counts as a failed attempt there"
    # An empty policy means "at once", which is what no policy means; both of its times default to more than nothing.
    if "retry_policy" in subscription:
        return "it has a retry policy: what is given back stays away for its back-off"
    return ""
