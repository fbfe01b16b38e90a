"""How X words what is wrong with a value. Pure."""

import json
from dataclasses import dataclass

from xcapi_core.sandbox.answers import ApiError

__all__ = ["Words", "shown"]

_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Words:
    """X's sentences, with the offending value or without it."""

    named: bool

    def expected(self, what: str, found: object, parameter: str) -> ApiError:
        """Say X's `Expected Long, got "abc" for count`."""
        got = f', got "{shown(found)}"' if self.named else ""
        return ApiError("INVALID_PARAMETER", f"Expected {what}{got} for {parameter}", parameter)

    def invalid(self, parameter: str, found: object, rest: str, *, code: str = "INVALID_PARAMETER") -> ApiError:
        """Say X's "hashed_email (abc) is not a valid SHA-256 hash"."""
        value = f" ({shown(found)})" if self.named else ""
        return ApiError(code, f"{parameter}{value} {rest}", parameter)


def shown(value: object) -> str:
    """Return a value as X quotes it: strings bare, absent as null, cut to a length that a log survives."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()[:_SHOWN_CHARACTERS]
