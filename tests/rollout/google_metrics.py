"""Google's own metrics that alerts and dashboard ask for, as PromQL spells them, with their kinds and labels.

Sources, all of docs.cloud.google.com/monitoring: metrics, their labels and values from "Google Cloud metrics: P through
Z" (api/metrics_gcp_p_z, sections pubsub and run, as generated on 2026-04-10); the spelling, and that monitored_resource
is named where a metric has several, from "Mapping Cloud Monitoring metrics to PromQL" (promql/promql-mapping). The
resources' own labels are of "Monitored resource types" (api/resources), from knowledge of that page.
tools/check_in_a_project.py shows a project's own descriptors.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GOOGLE_METRICS", "GoogleMetric"]

_ANY: frozenset[str] = frozenset()
_SUBSCRIPTION = {
    "monitored_resource": frozenset({"pubsub_subscription"}),
    "project_id": _ANY,
    "subscription_id": _ANY,
}
_REVISION = {
    "monitored_resource": frozenset({"cloud_run_revision"}),
    "configuration_name": _ANY,
    "location": _ANY,
    "project_id": _ANY,
    "revision_name": _ANY,
    "service_name": _ANY,
}
_RESPONSE_CLASSES = frozenset(
    {"ack", "deadline_exceeded", "internal", "invalid", "remote_server_4xx", "remote_server_5xx", "unreachable"}
)


@dataclass(frozen=True, slots=True)
class GoogleMetric:
    """`kind` is DELTA or GAUGE; `labels`, the resource's and the metric's own, have values where Google lists them."""

    kind: str
    labels: Mapping[str, frozenset[str]]


GOOGLE_METRICS = {
    "pubsub_googleapis_com:subscription_dead_letter_message_count": GoogleMetric(
        "DELTA", _SUBSCRIPTION | {"response_code": _ANY}
    ),
    "pubsub_googleapis_com:subscription_num_undelivered_messages": GoogleMetric("GAUGE", _SUBSCRIPTION),
    "pubsub_googleapis_com:subscription_oldest_unacked_message_age": GoogleMetric("GAUGE", _SUBSCRIPTION),
    "pubsub_googleapis_com:subscription_push_request_count": GoogleMetric(
        "DELTA",
        _SUBSCRIPTION | {"delivery_type": _ANY, "response_class": _RESPONSE_CLASSES, "response_code": _ANY},
    ),
    "run_googleapis_com:container_instance_count": GoogleMetric(
        "GAUGE", _REVISION | {"state": frozenset({"active", "idle"})}
    ),
    # A distribution: PromQL adds _bucket, _sum and _count.
    "run_googleapis_com:container_memory_utilizations_bucket": GoogleMetric("DELTA", _REVISION | {"le": _ANY}),
    "run_googleapis_com:request_count": GoogleMetric(
        "DELTA",
        _REVISION | {"response_code": _ANY, "response_code_class": frozenset({"1xx", "2xx", "3xx", "4xx", "5xx"})},
    ),
}
