"""Spans of time as people type them: 90m, 36h, 2d."""

import re
from datetime import timedelta
from typing import Any, Final

import click

__all__ = ["DURATION"]

_FORM: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]+)?)\s*([smhdw])", re.IGNORECASE)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401 - click's signature
        if isinstance(value, timedelta):
            return value
        match = _FORM.fullmatch(str(value).strip())
        if match is None:
            self.fail("a number and s, m, h, d or w: 90m, 36h, 2d", param, ctx)
        return timedelta(**{_UNITS[match[2].lower()]: float(match[1])})


DURATION: Final = _Duration()
