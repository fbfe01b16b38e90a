"""A message's data → raw events → conversions: one reader a dialect."""

from xcapi_core.events.reader import read_event
from xcapi_core.events.source import EventSource

__all__ = ["EventSource", "read_event"]
