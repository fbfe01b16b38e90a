"""The process's standard output as the oracles see it: what was written since the last look."""

import json
import os
import re
import tempfile
from types import TracebackType
from typing import Any, Self

from tests.fuzz.planted import assert_discreet

__all__ = ["LogTap"]

_STANDARD_OUTPUT = 1
_TAG = re.compile(r"(?<=event_id)(?:=|\":\")(?:tw-[0-9a-z]{1,8}-)?[0-9a-z]{1,8}(?![0-9a-z])", re.IGNORECASE)


class LogTap:
    """Takes the place of descriptor 1, to which the log lines go, for as long as it is entered."""

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile()
        self._standard_output = os.dup(_STANDARD_OUTPUT)
        os.dup2(self._file.fileno(), _STANDARD_OUTPUT)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.dup2(self._standard_output, _STANDARD_OUTPUT)
        os.close(self._standard_output)
        self._file.close()

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines since the last look. They are JSON, hold nothing planted, and are no crash's."""
        size = os.lseek(_STANDARD_OUTPUT, 0, os.SEEK_CUR)
        if not size:
            return []
        written = os.pread(_STANDARD_OUTPUT, size, 0)
        os.lseek(_STANDARD_OUTPUT, 0, os.SEEK_SET)
        os.ftruncate(_STANDARD_OUTPUT, 0)
        text = written.decode()
        # A dry run shows tags of X's form, which a planted word may happen to be.
        assert_discreet("a log line", _TAG.sub("", text))
        lines = [json.loads(line) for line in text.splitlines()]
        for line in lines:
            assert "stack_trace" not in line, f"a crash was logged: {line}"
        return lines
