"""Files of events, as `xcapi validate` and `xcapi publish` read them."""

from xcapi_core.cli.files.chunks import Chunk, InputError, InputFormat, read_chunks
from xcapi_core.cli.files.json_problems import json_problem

__all__ = ["Chunk", "InputError", "InputFormat", "json_problem", "read_chunks"]
