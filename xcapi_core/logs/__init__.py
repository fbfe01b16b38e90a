"""All output as JSON lines in Cloud Logging's fields: our own log events, and where libraries log or print."""

from xcapi_core.logs.capture import install
from xcapi_core.logs.conversion_ids import HowToName, emit_naming
from xcapi_core.logs.exceptions import format_exception
from xcapi_core.logs.lines import Scalar, Severity, emit, set_trace, trace_from_headers

__all__ = [
    "HowToName",
    "Scalar",
    "Severity",
    "emit",
    "emit_naming",
    "format_exception",
    "install",
    "set_trace",
    "trace_from_headers",
]
