"""Letting X judge without counting: the one place that makes a conversion which X must refuse, and reads the refusal.

X has no test mode. It refuses a request as a whole when one element is bad, as far as anybody has seen; so what goes
out here is synthetic and carries one planted element that X must refuse. Source: X Ads API reference, "Error codes and
responses": "all applicable errors" of a request are listed.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from xcapi_core import __version__
from xcapi_core.cli.x.client import XAnswer, XClient
from xcapi_core.events.identifiers import is_digest

__all__ = ["Judgement", "Question", "Surprise", "ask_about", "ask_control", "put", "read_answer"]

UNKNOWN_TAG: Final = "xcapi0"  # no tag of X's: six characters, as no account has them
_DOCUMENTATION_ADDRESS: Final = "192.0.2.1"  # RFC 5737: nobody's
_MONEY: Final = ("value", "content_price")
# Shorter texts stand in others by chance.
_LEAST_TELLING: Final = 4
_REFUSED: Final = (400, 404)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One conversion for X to refuse. `left_out` are fields that held something of the person or the order."""

    conversion: Mapping[str, object] = field(repr=False)
    planted: str
    left_out: tuple[str, ...] = ()

    @property
    def body(self) -> bytes:
        """The request's body: this conversion alone."""
        return json.dumps({"conversions": [self.conversion]}, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Judgement:
    """X refused the question for the planted element. `errors` are X's other (code, message) pairs."""

    errors: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Surprise:
    """X answered otherwise: nothing more may be asked. `may_have_counted` tells whether X took the conversion."""

    status: int
    words: str
    may_have_counted: bool


def ask_control() -> Question:
    """Return the control: a synthetic conversion with the planted digest and a tag that X does not know.

    Only where X refuses it, and quotes what was planted, may anything else be asked.
    """
    return _question({"event_id": UNKNOWN_TAG, "identifiers": [{"hashed_email": ""}]}, ())


def ask_about(conversion: Mapping[str, object], *, with_value: bool) -> Question:
    """Return the question whether X takes a conversion of this form, with nothing of the person or the order in it.

    Identifiers become synthetic ones of the same kinds, `conversion_id` a random one; amounts are left out without
    `with_value`. Fields that repeat a real identifier or id (an address with the order's number) are left out.
    """
    real = tuple(_telling(conversion))
    copy: dict[str, object] = {}
    left_out: list[str] = []
    for name, value in conversion.items():
        if name in ("identifiers", "conversion_id", "conversion_time"):
            continue
        kept = value if with_value else _without_money(name, value)
        if kept is None:
            continue
        if name != "event_id" and any(text in json.dumps(kept, ensure_ascii=False) for text in real):
            left_out.append(name)
            continue
        copy[name] = kept
    copy["identifiers"] = conversion.get("identifiers") or []
    return _question(copy, tuple(left_out))


def put(question: Question, client: XClient, pixel_id: str) -> XAnswer:
    """Send a question to X: the only way by which a conversion leaves a command. Raises XUnreachableError.

    Raises ValueError, and sends nothing, where the element is missing for which X must refuse it.
    """
    planted = {"hashed_email": question.planted}
    identifiers = question.conversion["identifiers"]
    if is_digest(question.planted) or not isinstance(identifiers, list) or planted not in identifiers:
        raise ValueError("a question without the element that X must refuse")
    return client.post_conversions(pixel_id, question.body)


def read_answer(question: Question, answer: XAnswer) -> Judgement | Surprise:
    """Read X's answer: only a 400 or 404 that quotes what was planted is a judgement."""
    if answer.status in _REFUSED and question.planted in answer.text:
        others = tuple(error for error in answer.errors if question.planted not in error[1])
        return Judgement(others)
    # What X refuses it has not counted; a cancelled request and an error of X's own may have been counted before.
    is_refusal = 300 <= answer.status < 500 and answer.status != 408  # noqa: PLR2004 - HTTP
    return Surprise(answer.status, answer.words, may_have_counted=not is_refusal)


def _question(conversion: Mapping[str, object], left_out: tuple[str, ...]) -> Question:
    planted = f"xcapi-planted-{secrets.token_hex(8)}"
    real = conversion["identifiers"]
    elements = [_synthetic(element) for element in real if isinstance(element, dict)] if isinstance(real, list) else []
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    made = {
        "conversion_time": now,
        **conversion,
        "identifiers": [*elements, {"hashed_email": planted}],
        "conversion_id": f"xcapi-question-{secrets.token_hex(12)}",
    }
    return Question(conversion=made, planted=planted, left_out=left_out)


def _synthetic(element: Mapping[str, object]) -> dict[str, str]:
    nobody = secrets.token_hex(16)
    made = {
        "twclid": nobody[:26],
        "hashed_email": hashlib.sha256(f"{nobody}@example.com".encode()).hexdigest(),
        "hashed_phone_number": hashlib.sha256(f"+1555{nobody}".encode()).hexdigest(),
        "ip_address": _DOCUMENTATION_ADDRESS,
        "user_agent": f"xcapi/{__version__}",
    }
    return {kind: made[kind] for kind in element if kind in made}


def _telling(conversion: Mapping[str, object]) -> Iterator[str]:
    """Yield what names the person or the order, as it would stand in another field."""
    listed = conversion.get("identifiers")
    elements = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    for text in (conversion.get("conversion_id"), *(value for element in elements for value in element.values())):
        if isinstance(text, str) and len(text) >= _LEAST_TELLING:
            yield json.dumps(text, ensure_ascii=False)[1:-1]


def _without_money(name: str, value: object) -> object:
    if name in _MONEY:
        return None
    if isinstance(value, list):
        return [_without_money("", one) for one in value]
    if isinstance(value, dict):
        return {inner: kept for inner, one in value.items() if (kept := _without_money(inner, one)) is not None}
    return value
