"""Cloud Logging through the official client; at CLOUD_LOGGING_EMULATOR_HOST where that is set."""

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.cloud.logging_v2.types import LogEntry

from xcapi_core.adapters.google_grpc import local_channel
from xcapi_core.cli.google.errors import brief_retry
from xcapi_core.cli.log.lines import LogLine

__all__ = ["CloudLog", "one_of", "since_filter"]

# A 2nd-gen function is a Cloud Run service, and its log that service's.
OF_THE_FUNCTION: Final = 'resource.type="cloud_run_revision"'
_PAGE: Final = 1_000
_TIMEOUT_S: Final = 60.0


def one_of(field: str, values: Iterable[str]) -> str:
    """Return the filter that a field, or an element of a list, is one of the values."""
    # Quoted as the language wants it, which is as JSON does: backslash and quotation mark escaped.
    return f"{field}=({' OR '.join(json.dumps(value, ensure_ascii=False) for value in values)})"


def since_filter(since: datetime) -> str:
    """Return the filter for what was logged at a time or later."""
    return f'timestamp>="{since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")}"'


class CloudLog:
    """The log of one project."""

    def __init__(self, project: str) -> None:
        self._project = project

    def lines(self, filter_: str, *, newest_first: bool = False, most: int | None = None) -> Iterator[LogLine]:
        """Yield what matches, oldest first unless told otherwise. Raises Google's errors."""
        request = {
            "resource_names": [f"projects/{self._project}"],
            "filter": filter_,
            "order_by": "timestamp desc" if newest_first else "timestamp asc",
            "page_size": min(most or _PAGE, _PAGE),
        }
        found = 0
        for entry in _client().list_log_entries(request=request, retry=brief_retry(), timeout=_TIMEOUT_S):
            if line := _line_of(entry):
                yield line
                found += 1
                if most and found >= most:
                    return


def _client() -> LoggingServiceV2Client:
    host = os.environ.get("CLOUD_LOGGING_EMULATOR_HOST")
    if not host:
        return LoggingServiceV2Client()
    return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=local_channel(host)))


def _line_of(entry: LogEntry) -> LogLine | None:
    payload = entry.json_payload
    if payload is None or "event" not in payload:
        return None
    fields: dict[str, object] = {
        name: value if isinstance(value, str | int | float | bool) or value is None else list(value)
        for name, value in payload.items()
    }
    when = datetime.fromtimestamp(entry.timestamp.timestamp(), UTC) if entry.timestamp else None
    return LogLine(event=str(fields["event"]), time=when, fields=fields)
