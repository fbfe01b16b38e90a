"""What an exchange with X means for one of its conversions. Pure."""

import json
from http import HTTPStatus
from typing import Final, NamedTuple

from xcapi_core.sandbox.answers import Answer
from xcapi_core.sandbox.console.entries import Exchange, Verdict
from xcapi_core.sandbox.rules import Finding

__all__ = ["Ruling", "conversions_of", "rule"]

# X: "Error codes and responses": these pass, whatever was sent.
_PASSING: Final = frozenset({408, 423, 429})


class Ruling(NamedTuple):
    """An event's end, or its state; `reason` is one of few words, `detail` a sentence."""

    verdict: Verdict
    reason: str = ""
    detail: str = ""


def conversions_of(exchange: Exchange) -> list[tuple[object, Finding | None]]:
    """Return the request's conversions, each with X's finding where X looked at it; empty where they cannot be read."""
    try:
        document = json.loads(exchange.body)
    except (ValueError, RecursionError):
        return []
    conversions = document.get("conversions") if isinstance(document, dict) else None
    if not isinstance(conversions, list):
        return []
    if not exchange.findings:
        return [(conversion, None) for conversion in conversions]
    return list(zip(conversions, exchange.findings, strict=True))


def rule(exchange: Exchange, finding: Finding | None, of: int) -> Ruling:
    """Say what X's answer to a request of `of` conversions means for the one with this finding."""
    status = exchange.request.status
    if status == 0:
        return Ruling("deferred", "connection dropped", "The connection was closed without an answer.")
    if status == HTTPStatus.OK:
        return _rule_on_success(exchange.answer, of)
    code = next(iter(exchange.answer.error_codes), "")
    if status in _PASSING or not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Ruling("deferred", f"{status} {code}".strip(), "X did not look at it; it goes again later.")
    if finding is not None and not finding.errors:
        return Ruling("deferred", "refused with another", "Nothing is wrong with it; another one sank the request.")
    if finding is not None:
        first = finding.errors[0]
        return Ruling("refused", f"{first.code} {first.parameter or ''}".rstrip(), first.message)
    return Ruling("refused", f"{status} {code}".strip(), exchange.request.hint or _first_words(exchange.answer))


def _first_words(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["errors"][0]["message"])
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""


def _rule_on_success(answer: Answer, of: int) -> Ruling:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not ("data" in document or "errors" in document):
        return Ruling("deferred", "200 without X's JSON", "That was not X: a proxy, perhaps.")
    counted = document.get("data")
    processed = counted.get("conversions_processed") if isinstance(counted, dict) else None
    if processed == of:
        return Ruling("delivered")
    return Ruling("refused", "unconfirmed", f"X answered 200, and counted {processed} of {of}.")
