"""Cloud Monitoring through the official client; at CLOUD_MONITORING_EMULATOR_HOST where that is set."""

import os
from datetime import UTC, datetime, timedelta
from typing import Final

from google.cloud.monitoring_v3 import MetricServiceClient
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from xcapi_core.adapters.google_grpc import local_channel
from xcapi_core.cli.google.errors import brief_retry

__all__ = ["OLDEST_AGE_S", "WAITING", "newest_values"]

# Google, "Google Cloud metrics: pubsub". Both are sampled once a minute and are there some minutes later.
WAITING: Final = "pubsub.googleapis.com/subscription/num_undelivered_messages"
OLDEST_AGE_S: Final = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
_LOOK_BACK: Final = timedelta(minutes=15)
_TIMEOUT_S: Final = 20.0


def newest_values(project: str, metric: str) -> dict[str, float]:
    """Return a metric's newest value of each subscription, by its short name. Raises Google's errors."""
    now = datetime.now(UTC)
    request = {
        "name": f"projects/{project}",
        "filter": f'metric.type = "{metric}" AND resource.type = "pubsub_subscription"',
        "interval": {"start_time": now - _LOOK_BACK, "end_time": now},
    }
    newest: dict[str, float] = {}
    for series in _client().list_time_series(request=request, retry=brief_retry(), timeout=_TIMEOUT_S):
        # Points come newest first.
        for point in series.points[:1]:
            newest[series.resource.labels["subscription_id"]] = float(
                point.value.int64_value or point.value.double_value
            )
    return newest


def _client() -> MetricServiceClient:
    host = os.environ.get("CLOUD_MONITORING_EMULATOR_HOST")
    if not host:
        return MetricServiceClient()
    return MetricServiceClient(transport=MetricServiceGrpcTransport(channel=local_channel(host)))
