"""Cloud Logging and Cloud Monitoring on loopback: real gRPC with Google's own types, as much of each as is asked."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse, LogEntry
from google.cloud.monitoring_v3.types import ListTimeSeriesRequest, ListTimeSeriesResponse, TimeSeries

from xcapi_core.sandbox.services.grpc_server import GrpcMethod, GrpcRefusal, LocalGrpcService

__all__ = ["LocalLogging", "LocalMonitoring"]

_ONE_OF = re.compile(r'(jsonPayload\.\w+)=\(((?:"(?:[^"\\]|\\.)*"(?: OR )?)+)\)')
_SINCE = re.compile(r'timestamp>="([^"]+)"')


class LocalLogging(LocalGrpcService):
    """Holds log lines, each with its time; answers `ListLogEntries` with those that the filter asks for.

    Of the filter language it knows what the commands use, and refuses what it does not: `field=("a" OR "b")`, of which
    one must hold, and `timestamp>="…"`.
    """

    def __init__(self, lines: Sequence[tuple[datetime, Mapping[str, object]]] = ()) -> None:
        self.lines = list(lines)
        self.requests: list[ListLogEntriesRequest] = []
        super().__init__(
            {
                "google.logging.v2.LoggingServiceV2": {
                    "ListLogEntries": GrpcMethod(ListLogEntriesRequest, ListLogEntriesResponse, self._list)
                }
            }
        )

    def _list(self, request: ListLogEntriesRequest) -> ListLogEntriesResponse:
        self.requests.append(request)
        if 'resource.type="cloud_run_revision"' not in request.filter:
            raise GrpcRefusal("INVALID_ARGUMENT", "the filter names no resource")
        rest = _ONE_OF.sub("", _SINCE.sub("", request.filter.replace('resource.type="cloud_run_revision"', "")))
        if rest.replace("OR", "").strip(" ()\n"):
            raise GrpcRefusal("INVALID_ARGUMENT", f"not known here: {rest}")
        since = _SINCE.search(request.filter)
        earliest = datetime.fromisoformat(since[1]) if since else datetime.min.replace(tzinfo=UTC)
        wanted = [
            (name, set(json.loads(f"[{values.replace(' OR ', ',')}]")))
            for name, values in _ONE_OF.findall(request.filter)
        ]
        found = [
            LogEntry(json_payload=fields, timestamp=when)
            for when, fields in sorted(self.lines, key=lambda line: line[0], reverse="desc" in request.order_by)
            if when >= earliest and (not wanted or any(_matches(fields, name, values) for name, values in wanted))
        ]
        start = int(request.page_token or 0)
        end = start + (request.page_size or 50)
        following = str(end) if end < len(found) else ""
        return ListLogEntriesResponse(entries=found[start:end], next_page_token=following)


def _matches(fields: Mapping[str, object], name: str, values: set[str]) -> bool:
    found = fields.get(name.partition(".")[2])
    return not values.isdisjoint(map(str, found if isinstance(found, list) else [found]))


class LocalMonitoring(LocalGrpcService):
    """Holds the newest value of each (metric, subscription); answers `ListTimeSeries`."""

    def __init__(self, values: Mapping[tuple[str, str], float]) -> None:
        self.values = dict(values)
        super().__init__(
            {
                "google.monitoring.v3.MetricService": {
                    "ListTimeSeries": GrpcMethod(ListTimeSeriesRequest, ListTimeSeriesResponse, self._list)
                }
            }
        )

    def _list(self, request: ListTimeSeriesRequest) -> ListTimeSeriesResponse:
        metric = re.search(r'metric\.type\s*=\s*"([^"]+)"', request.filter)
        if metric is None:
            raise GrpcRefusal("INVALID_ARGUMENT", "the filter names no metric")
        return ListTimeSeriesResponse(time_series=list(self._series(metric[1], request)))

    def _series(self, metric: str, request: ListTimeSeriesRequest) -> Iterable[TimeSeries]:
        for (name, subscription), value in self.values.items():
            if name == metric:
                yield TimeSeries(
                    metric={"type": metric},
                    resource={"type": "pubsub_subscription", "labels": {"subscription_id": subscription}},
                    points=[
                        {"interval": {"end_time": request.interval.end_time}, "value": {"int64_value": int(value)}}
                    ],
                )
