"""Telling a bad conversion from an X, or a set-up, that refuses everything."""

import re
from collections import OrderedDict

from xcapi_core.x_api.errors import XError, quotes_a_value

__all__ = ["LONE_REFUSALS", "LoneRefusals"]

LONE_REFUSALS = 20
_MOST_WORDINGS = 50
# What differs from answer to answer: an id of the request, a time, a count.
_VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\w*[0-9]\w*", re.IGNORECASE)


class LoneRefusals:
    """Counts the conversions that X refused alone, by its words, since it last took any.

    Words that quote a value of the conversion are about that conversion, and are not counted.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[int, tuple[tuple[str, str], ...]], int] = OrderedDict()

    def accepted(self) -> None:
        """Forget all: X takes conversions."""
        self._counts.clear()

    def count(self, status: int, errors: tuple[XError, ...], wire: bytes) -> bool:
        """Count a lone refusal; return whether there were `LONE_REFUSALS` in these words before it."""
        if quotes_a_value(errors, wire):
            return False
        wording = status, tuple((error.code, _VARIABLE.sub("#", error.message)) for error in errors)
        before = self._counts.pop(wording, 0)
        self._counts[wording] = before + 1
        if len(self._counts) > _MOST_WORDINGS:
            self._counts.popitem(last=False)
        return before >= LONE_REFUSALS
