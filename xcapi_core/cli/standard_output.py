"""Standard output that is closed, full or read no more: the command ends, without a traceback."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["discard_output", "ending_with_the_output"]

# Of a write, these say something about the place that the output goes to, and nothing about this program.
_CANNOT_BE_WRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_STDOUT: Final = 1


@contextmanager
def ending_with_the_output() -> Iterator[None]:
    """End the command when its output can go nowhere, and flush what it wrote.

    A reader that has gone (`xcapi … | head -1`) ends it quietly, a full disk with one sentence and exit code 1. A
    closed stdout or stderr (`>&-`) discards what is printed, a closed stdin (`<&-`) is an empty one.
    """
    # In this order each takes the descriptor of the one it stands for, before another file can.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  it stays open
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        sys.exit(1)
    except OSError as error:
        if error.filename is not None or error.errno not in _CANNOT_BE_WRITTEN:
            raise
        discard_output()
        sys.exit(f"Error: The output cannot be written: {error.strerror}.")


def discard_output() -> None:
    """Send what is printed from here on nowhere, also what the interpreter flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)
