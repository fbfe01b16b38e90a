"""Files of events, as `xcapi validate` and `xcapi publish` read them."""

from xcapi_core.cli.files.chunks import Chunk, InputError, InputFormat, read_chunks
from xcapi_core.cli.files.json_problems import json_problem
from xcapi_core.cli.files.records import NO_EVENT, at_least_one

__all__ = ["NO_EVENT", "Chunk", "InputError", "InputFormat", "at_least_one", "json_problem", "read_chunks"]
