"""What to do about an event that did not reach X: X's words, and the function's, translated into an action. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from xcapi_core.sandbox.console.entries import Entry

__all__ = ["advise"]

# A pattern of X's words → what its reader can do.
_FOR_WORDS: Final = (
    (
        re.compile(r"not a valid SHA-256 hash"),
        "Send SHA-256 as 64 hex digits; or publish plain email and phone: the function normalises and hashes them.",
    ),
    (
        re.compile(r"is not a single event tag|does not belong to provided account|Event ID was not found"),
        "Copy the event's id from X's Events Manager (tw-PIXEL-TAG) into event_ids, for an event of this account.",
    ),
    (
        re.compile(r"At least one user identifier"),
        "Give each element of identifiers a click id, a hashed e-mail or a hashed phone number of its own.",
    ),
    (
        re.compile(r"is not a valid IP address"),
        "Send the visitor's public IPv4 address, or leave it out: X takes no other.",
    ),
    (
        re.compile(r"for conversion_time"),
        "Write the time in UTC as 2026-04-20T12:34:56.000Z, the moment of the conversion, at most a few days ago.",
    ),
    (
        re.compile(r"for (value|content_price)"),
        'Write money as a decimal string such as "20.00", with the currency in price_currency.',
    ),
    (re.compile(r"for price_currency"), "Write the currency as three capital letters, such as EUR (ISO 4217)."),
    (re.compile(r"Positive Integer"), "Send a whole number above 0, as a JSON number."),
    (re.compile(r"Conversion count limit"), "Send at most 500 conversions a request."),
    (re.compile(r"\"conversions\" is a required"), 'Wrap the conversions: {"conversions": […]}.'),
    (re.compile(r"Expected (String|Object|Array)"), "Send this field in the JSON type that X names."),
)

_FOR_STATUS: Final = {
    0: "X may or may not have counted it. The function sends it again; X counts one conversion_id once in 48 hours.",
    401: "Check the pixel's OAuth keys or token, and the sender's clock: `xcapi doctor` tries them.",
    403: "Apply for Ads API access for the app that the keys belong to, in X's developer portal.",
    404: "Check the pixel's id and api_version; the keys' user must be AD_MANAGER or ACCOUNT_ADMIN of its account.",
    413: "Send fewer conversions a request; the function halves the batch by itself.",
    415: "Send the header Content-Type: application/json.",
    429: "Nothing to mend: the budget is spent. The function waits for the reset that X names, then sends it again.",
    503: "Nothing to mend: X is not well. The function waits and sends it again.",
}

_FOR_REASON: Final = {
    "invalid_message": 'Publish JSON: one event, an array of them, or {"events": […]}.',
    "invalid_event": "Mend the field that is named; `xcapi validate FILE` shows all problems of an event at once.",
    "expired": "Publish events sooner, or raise max_event_age_hours; X attributes recent conversions only.",
    "unconfirmed": "X may have counted it, so it is not sent again. Compare with Events Manager before a replay.",
    "unauthorized": "Check the keys and the user's role with `xcapi doctor`, then replay with `xcapi dlq replay`.",
    "exhausted": "The function never settled it: look for its log's last words, then replay it.",
    "no_consent": "Nothing to mend: the person said no, or has not said yes where consent is required.",
    "unwanted": "If X should get such events, add the event's name and its tag to event_ids of the configuration.",
    "no_identifier": "Publish an e-mail, a phone number or a click id with the event: there is nobody to match it to.",
    "dry_run": "dry_run is on: turn it off in the configuration to send.",
    "already_delivered": "Nothing to mend: X has this conversion. A new one needs a conversion_id of its own.",
    "refused with another": "Nothing to mend here: look at the refused event of the same request.",
    "200 without X's JSON": "Something else answered in X's place: check api_base_url and what stands between.",
}


def advise(entry: Entry) -> list[str]:
    """Return what to do about an event, most telling first; nothing for one that is well."""
    if entry.verdict in ("delivered", "waiting"):
        return []
    return list(dict.fromkeys(_advice(entry)))


def _advice(entry: Entry) -> Iterator[str]:
    attempt = entry.attempts[-1] if entry.attempts else None
    errors = attempt.finding.errors if attempt and attempt.finding else ()
    words = [error.message for error in errors] or [entry.detail]
    for pattern, advice in _FOR_WORDS:
        if any(pattern.search(text) for text in words):
            yield advice
    if entry.reason in _FOR_REASON:
        yield _FOR_REASON[entry.reason]
    elif attempt and not errors:
        status = attempt.exchange.request.status
        status = 503 if status >= 500 else status  # noqa: PLR2004  HTTP's classes
        if status in _FOR_STATUS:
            yield _FOR_STATUS[status]
