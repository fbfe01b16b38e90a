"""What one event becomes, fit to be shown: the conversion with its identifiers masked, or why there is none."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from xcapi_core.cli.files import Chunk, json_problem
from xcapi_core.cli.validate.masking import masked, shown_text
from xcapi_core.cli.validate.unread import unread_fields
from xcapi_core.conversions import Conversion
from xcapi_core.events.decoding import decode_event
from xcapi_core.events.detection import FORMATS
from xcapi_core.events.drops import Drop
from xcapi_core.events.elements import value_within
from xcapi_core.events.money import read_amount, read_micros
from xcapi_core.events.opened import Opened
from xcapi_core.events.reader import open_event
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.events.splitting import Unreadable
from xcapi_core.events.unions import has_unions, without_unions
from xcapi_core.events.unpacking import unpack
from xcapi_core.outcomes import Expired, Invalid, Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.settings.document import did_you_mean

__all__ = ["DROPPED", "End", "Verdict", "judge"]

End = Literal["conversion", "skipped", "invalid", "expired", "unreadable"]

# In short; docs/event-format-x.md, "What is dropped", has the whole of it.
DROPPED: Final[Mapping[Drop, str]] = {
    Drop.DIGEST_OF_NOTHING: "a hash of nothing: of empty text, null, undefined, …",
    Drop.EXTRA_IP_ADDRESS: "a second, different IP address",
    Drop.EXTRA_TWCLID: "a second, different click id",
    Drop.EXTRA_USER_AGENT: "a second, different user agent",
    Drop.FUTURE_TIME: "a time that lies ahead: the publish time instead",
    Drop.INVALID_CONTENT: "a content line that is no object or holds nothing",
    Drop.INVALID_CONTENT_COUNT: "a content line's count that is no whole number above 0",
    Drop.INVALID_CONTENT_FIELD: "a content line's text that is none",
    Drop.INVALID_CONTENT_ID: "a content line's id that is no id",
    Drop.INVALID_CONTENT_PRICE: "a content line's price that is no amount",
    Drop.INVALID_CONTENTS: "contents that are no list",
    Drop.INVALID_CONVERSION_ID: "a dedup key that says nothing: the next name, or a derived key",
    Drop.INVALID_CURRENCY: "a word for nothing in place of a currency",
    Drop.INVALID_DESCRIPTION: "a description that is no text",
    Drop.INVALID_EMAIL: "an e-mail address that is none",
    Drop.INVALID_HASHED_EMAIL: "a hashed e-mail that is not 64 hex digits",
    Drop.INVALID_HASHED_PHONE_NUMBER: "a hashed phone number that is not 64 hex digits",
    Drop.INVALID_IDENTIFIER: "an element of identifiers that is no object",
    Drop.INVALID_IDENTIFIERS: "identifiers that are no list",
    Drop.INVALID_IP_ADDRESS: "an IP address that is none",
    Drop.INVALID_NUMBER_ITEMS: "a count that is no whole number above 0",
    Drop.INVALID_PHONE: "a phone number that is none",
    Drop.INVALID_SEARCH_STRING: "search words that are no text",
    Drop.INVALID_TWCLID: "a click id that is none",
    Drop.INVALID_URL: "a page address that is no http address",
    Drop.INVALID_USER: "user data that is no object",
    Drop.INVALID_USER_AGENT: "a user agent that is no text",
    Drop.INVALID_VALUE: "a word for nothing in place of an amount",
    Drop.IPV6_ADDRESS: "an IPv6 address: X takes IPv4",
    Drop.MIXED_CURRENCIES: "a value, with lines in several currencies and none of its own",
    Drop.PHONE_WITHOUT_REGION: "a national phone number, without default_phone_region",
    Drop.PRIVATE_IP_ADDRESS: "an IP address that is not public",
    Drop.TOO_MANY_IDENTIFIERS: "more identifiers than one person has",
    Drop.UNREAD_CONSENT: "a consent signal that is not interpreted: gdpr_consent, gpp, dnt, data_processing_options",
    Drop.VALUE_WITHOUT_CURRENCY: "a value, without a currency and default_currency",
}
_SKIPPED: Final[Mapping[SkipReason, str]] = {
    SkipReason.NO_CONSENT: "it says no to advertising, or not yes where consent is required",
    SkipReason.UNWANTED: "the pixel's event_ids list no such event, or it is not meant for X",
    SkipReason.NO_IDENTIFIER: "it has no e-mail, phone number or click id, and no IP address with a user agent",
    SkipReason.DRY_RUN: "dry_run",
}
# Why an event is taken for a no that its author may not have meant.
_NO_BECAUSE: Final = {
    "consent_categories_missing": "its preferences hold a refusal, and the pixel has no consent_categories",
    "unreadable_consent": "a consent field is blank or cannot be read",
}
# An event's name as people give them; whatever else stands there may be personal.
_NAME = re.compile(r"[\w .:/-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of one event. `why` is one of few words, fit to be counted; `detail` says more.

    `conversion` is masked, `wire` what X would get.
    """

    file: str
    line: int
    event_index: int | None
    end: End
    why: str
    detail: str = ""
    format: str = ""
    pixel_id: str = ""
    conversion: Mapping[str, object] | None = field(default=None, repr=False)
    wire: bytes = field(default=b"", repr=False)
    dropped: tuple[str, ...] = ()
    unread: tuple[tuple[str, str | None], ...] = ()
    warnings: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    has_derived_id: bool = False

    @property
    def is_well(self) -> bool:
        """Whether the event is sent, or left out on purpose."""
        return self.end in ("conversion", "skipped")


def judge(
    chunk: Chunk, file: str, settings: Settings, attributes: Mapping[str, str], now: datetime
) -> Iterator[Verdict]:
    """Read a chunk as the function would read it as a message, and say what each of its events becomes."""
    if chunk.problem:
        yield Verdict(
            file=file, line=chunk.line, event_index=None, end="unreadable", why="no message", detail=chunk.problem
        )
        return
    message = PubsubMessage(
        message_id=chunk.message_id or str(chunk.line),
        publish_time=chunk.publish_time
        or now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        data=chunk.data,
        attributes={**attributes, **chunk.attributes},
        subscription="",
        ordering_key="",
        delivery_attempt=None,
    )
    for event in read_events(message, settings, received_at=now, settled=frozenset()):
        if isinstance(event, ReadEvent):
            yield _verdict(event, _opened(event, unions=has_unions(message.attributes)), file, chunk, settings)


def _verdict(event: ReadEvent, opened: Opened | None, file: str, chunk: Chunk, settings: Settings) -> Verdict:
    conversion: Conversion | None = None
    detail = ""
    end: End
    match event.result:
        case Conversion() as conversion:
            end, why = "conversion", shown_text(conversion.event_tag)
        case Skipped(reason, codes):
            name = _name(opened) if reason is SkipReason.UNWANTED else ""
            end, why = "skipped", f"{reason.value.replace('_', ' ')}{': ' if name else ''}{name}"
            detail = "; ".join([_SKIPPED[reason], *(_NO_BECAUSE[code] for code in codes if code in _NO_BECAUSE)])
        case Invalid(problem, others):
            hint = _name_that_was_meant(problem, opened, settings.pixels.get(event.pixel_id))
            end, why, detail = "invalid", _countable(problem), "; ".join([f"{problem}{hint}", *map(str, others)])
        case Expired(problem):
            end, why, detail = "expired", "older than max_event_age_hours", str(problem)
        case Unreadable(problem):
            end, why, detail = "unreadable", problem.found, str(problem)
    if end in ("invalid", "unreadable") and (place := json_problem(event.event_bytes, chunk.line, within=chunk.data)):
        detail = f"{detail} ({place})"
    pixel_id = conversion.pixel_id if conversion else event.pixel_id
    pixel = settings.pixels.get(pixel_id)
    is_alone = event.event_index is None or (event.message_data() == chunk.data and not chunk.first_index)
    return Verdict(
        file=file,
        line=chunk.line,
        event_index=None if is_alone else chunk.first_index + (event.event_index or 0),
        end=end,
        why=why,
        detail=detail,
        format=event.format,
        pixel_id=pixel_id,
        conversion=masked(conversion.wire) if conversion else None,
        wire=conversion.wire if conversion else b"",
        dropped=conversion.dropped if conversion else (),
        unread=_unread(event, opened, pixel),
        warnings=tuple(_warnings(conversion, opened, pixel)),
        identifiers=conversion.identifiers if conversion else (),
        has_derived_id=conversion.has_derived_id if conversion else False,
    )


def _unread(event: ReadEvent, opened: Opened | None, pixel: PixelSettings | None) -> tuple[tuple[str, str | None], ...]:
    form = next((known for known in FORMATS if known == event.format), None)
    is_silent = isinstance(event.result, Skipped) and event.result.reason is not SkipReason.NO_IDENTIFIER
    if form is None or opened is None or is_silent:
        return ()
    return unread_fields(opened, form, pixel.conversion_id_from if pixel else None)


def _warnings(conversion: Conversion | None, opened: Opened | None, pixel: PixelSettings | None) -> Iterator[str]:
    """Yield what X may take otherwise than its author meant."""
    if conversion is not None and pixel is not None and pixel.event_ids:
        tag = conversion.event_tag
        if not any(tag in (known, known.rpartition("-")[2]) for known in pixel.event_ids.values()):
            shown = shown_text(tag)[:40]
            yield f"the event tag is none of the pixel's event_ids: X alone knows whether it exists ({shown})"
    if opened is None:
        return
    for place in opened.places[:2]:
        value, micros = read_amount(place.get("value")), read_micros(place.get("value_micros"))
        if value is not None and micros is not None and value != micros:
            yield "value and value_micros are different amounts: value is sent"


def _countable(problem: Problem) -> str:
    """Return a problem without the place within a body, which is never another one."""
    return f"{problem.path.rpartition('].')[2]}: {problem.found}"


def _name_that_was_meant(problem: Problem, opened: Opened | None, pixel: PixelSettings | None) -> str:
    """Return a hint where the name that an event of `x` gives itself is nearly one of the pixel's, else ""."""
    if opened is None or pixel is None or problem.path not in {"event", "event_name"}:
        return ""
    name = opened.places[0].get(problem.path)
    return did_you_mean(name, pixel.event_ids) if isinstance(name, str) else ""


def _opened(event: ReadEvent, *, unions: bool) -> Opened | None:
    form = next((known for known in FORMATS if known == event.format), None)
    data = unpack(event.event_bytes)  # one that came alone is as it came
    if form is None or isinstance(data, Problem):
        return None
    value = decode_event(value_within(data, unions=unions))
    opened = open_event(without_unions(value) if unions else value, event.envelope, form)
    return opened if isinstance(opened, Opened) else None


def _name(opened: Opened | None) -> str:
    """Return the name of an unwanted event, "" where it may be anything but a name."""
    name = opened.name if opened else None
    return name if isinstance(name, str) and _NAME.fullmatch(name) else ""
