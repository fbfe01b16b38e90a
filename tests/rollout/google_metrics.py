"""Google's own metrics that alerts and dashboard ask for, as PromQL spells them, with their labels.

Source: Google Cloud's lists "Pub/Sub metrics" and "Cloud Run metrics" (Cloud Monitoring, "Google Cloud metrics"), with
the labels of the monitored resources pubsub_subscription and cloud_run_revision. Written down from knowledge of those
pages, not fetched from them: tools/check_in_a_project.sh compares them with a project's own descriptors.
"""

__all__ = ["GOOGLE_METRICS"]

_SUBSCRIPTION = frozenset({"project_id", "subscription_id"})
_REVISION = frozenset({"configuration_name", "location", "project_id", "revision_name", "service_name"})

GOOGLE_METRICS = {
    "pubsub_googleapis_com:subscription_dead_letter_message_count": _SUBSCRIPTION,
    "pubsub_googleapis_com:subscription_num_undelivered_messages": _SUBSCRIPTION,
    "pubsub_googleapis_com:subscription_oldest_unacked_message_age": _SUBSCRIPTION,
    "pubsub_googleapis_com:subscription_push_request_count": _SUBSCRIPTION
    | {"delivery_type", "response_class", "response_code"},
    "run_googleapis_com:container_instance_count": _REVISION | {"state"},
    "run_googleapis_com:container_memory_utilizations": _REVISION,
    "run_googleapis_com:request_count": _REVISION | {"response_code", "response_code_class"},
}
