"""XCAPI_CONFIG → Settings, or a refusal that lists every problem at once."""

from collections.abc import Mapping
from pathlib import Path

from xcapi_core.problems import Problem
from xcapi_core.settings import BatchSettings, PixelSettings, RateSettings, Settings, normalise_event_name, rules
from xcapi_core.settings.document import Section, describe, did_you_mean, kind, parse_document

__all__ = ["ConfigurationError", "load_settings", "read_settings"]

_LONGEST_TIMEOUT_S = 580.0  # Pub/Sub's longest ack deadline is 600 s, and it must be 20 s longer
_LONGEST_WINDOW_S = 86_400.0
_LONGEST_EVENT_AGE_HOURS = 87_600.0
_MOST_CONVERSIONS = 500  # X: a request carries at most 500
_MOST_IN_FLIGHT = 1_000
_MOST_EVENTS_A_WINDOW = 1_000_000_000
_LARGEST_DOCUMENT = 1_048_576  # bytes; a thousand pixels need less
_DEFAULTS = Settings(dead_letter_topic="", pixels={})


class ConfigurationError(Exception):
    """The configuration cannot be used. `problems` lists all that is wrong; none of them quotes what may be secret."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"the configuration has {count}:", *map(str, problems)]))
        self.problems = problems


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the document in `XCAPI_CONFIG`, or in the file that `XCAPI_CONFIG_FILE` names.

    Raises ConfigurationError.
    """
    document, file = environ.get("XCAPI_CONFIG", ""), environ.get("XCAPI_CONFIG_FILE", "")
    if document.strip() and file.strip():
        raise _refusal("XCAPI_CONFIG", "this and XCAPI_CONFIG_FILE", "one of the two")
    if document.strip().endswith(".json"):  # no JSON does
        raise _refusal("XCAPI_CONFIG", "a file's name", "the configuration itself, or that name in XCAPI_CONFIG_FILE")
    if document.strip():
        return read_settings(document)
    if not file.strip():
        raise _refusal("XCAPI_CONFIG", "nothing", "the configuration here, or its file's name in XCAPI_CONFIG_FILE")
    try:
        with Path(file).open("rb") as stream:
            return read_settings(stream.read(_LARGEST_DOCUMENT + 1))
    except OSError as error:
        raise _refusal("XCAPI_CONFIG_FILE", error.strerror or type(error).__name__, "a readable file") from None
    except ValueError:  # a name that no file can have
        raise _refusal("XCAPI_CONFIG_FILE", "no file name", "a readable file") from None


def read_settings(document: bytes | str) -> Settings:
    """Read a configuration document.

    Raises ConfigurationError with every problem of the document.
    """
    if len(document) > _LARGEST_DOCUMENT:
        raise _refusal("$", "a document without end", f"JSON of at most {_LARGEST_DOCUMENT} bytes")
    try:
        text = document if isinstance(document, str) else document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refusal("$", f"bytes that are no UTF-8 from byte {error.start} on", "one JSON object") from None
    parsed = parse_document(text.removeprefix("\ufeff"))
    if isinstance(parsed, Problem):
        raise ConfigurationError((parsed,))
    if not isinstance(parsed, dict):
        raise _refusal("$", kind(parsed), "one JSON object")
    problems: list[Problem] = []
    settings = _read_document(Section(parsed, "$", problems))
    if problems:
        raise ConfigurationError(tuple(problems))
    return settings


def _refusal(path: str, found: str, expected: str) -> ConfigurationError:
    return ConfigurationError((Problem(path=path, found=found, expected=expected),))


def _read_document(document: Section) -> Settings:
    """Read everything, whatever is wrong on the way; the result counts only if no problem was noted."""
    pixels = _read_pixels(document)
    region = document.text("default_phone_region", 'a region\'s ISO 3166 code, as "DE"', rules.is_phone_region)
    currency = document.text("default_currency", 'a currency\'s ISO 4217 code, as "EUR"', rules.is_currency)
    settings = Settings(
        dead_letter_topic=document.text("dead_letter_topic", rules.TOPIC_FORM, rules.is_topic, required=True) or "",
        remainder_topic=document.text("remainder_topic", rules.TOPIC_FORM, rules.is_topic),
        pixels=pixels,
        default_pixel=_read_default_pixel(document, pixels),
        default_phone_region=region and region.upper(),
        default_currency=currency and currency.upper(),
        consent=document.choice("consent", ("respect", "require", "ignore"), _DEFAULTS.consent),
        on_unauthorized=document.choice("on_unauthorized", ("dead_letter", "requeue"), _DEFAULTS.on_unauthorized),
        max_event_age_hours=document.positive_number("max_event_age_hours", _LONGEST_EVENT_AGE_HOURS),
        dry_run=document.flag("dry_run", default=_DEFAULTS.dry_run),
        api_base_url=_read_origin(document) or _DEFAULTS.api_base_url,
        api_version=document.text("api_version", 'digits in quotes, as "12"', rules.is_api_version)
        or _DEFAULTS.api_version,
        request_timeout_s=document.positive_number("request_timeout_s", _LONGEST_TIMEOUT_S)
        or _DEFAULTS.request_timeout_s,
        settle_timeout_s=document.positive_number("settle_timeout_s", _LONGEST_TIMEOUT_S) or _DEFAULTS.settle_timeout_s,
        batch=_read_batch(document),
        log_conversion_ids=document.choice(
            "log_conversion_ids", ("digest", "plain", "off"), _DEFAULTS.log_conversion_ids
        ),
        rate=_read_rate(document),
    )
    if settings.remainder_topic and settings.remainder_topic == settings.dead_letter_topic:
        # What must wait would never be sent, and a replay of the dead letters would send it twice.
        document.wrong("remainder_topic", "the dead-letter topic", "a topic of its own")
    if settings.settle_timeout_s <= settings.request_timeout_s:
        # No POST could ever start: each needs request_timeout_s of the time that its delivery has left.
        expected = f"more than request_timeout_s, which is {settings.request_timeout_s:g}"
        document.wrong("settle_timeout_s", f"{settings.settle_timeout_s:g}", expected)
    document.close()
    return settings


def _read_origin(document: Section) -> str | None:
    value = document.get("api_base_url")
    found = rules.origin(value) if isinstance(value, str) else None
    if value is not None and found is None:
        document.wrong(
            "api_base_url",
            rules.origin_fault(value),
            "https://HOST[:PORT] and nothing after it; http:// only to loopback",
        )
    return found


def _read_batch(document: Section) -> BatchSettings:
    batch = document.section("batch")
    defaults = _DEFAULTS.batch
    read = BatchSettings(
        max_conversions=batch.whole_number("max_conversions", _MOST_CONVERSIONS) or defaults.max_conversions,
        max_in_flight=batch.whole_number("max_in_flight", _MOST_IN_FLIGHT) or defaults.max_in_flight,
    )
    batch.close()
    return read


def _read_rate(document: Section) -> RateSettings:
    rate = document.section("rate")
    read = RateSettings(
        events=rate.whole_number("events", _MOST_EVENTS_A_WINDOW) or _DEFAULTS.rate.events,
        window_s=rate.positive_number("window_s", _LONGEST_WINDOW_S) or _DEFAULTS.rate.window_s,
    )
    rate.close()
    return read


def _read_pixels(document: Section) -> dict[str, PixelSettings]:
    section = document.section("pixels", required="an object with one pixel or more, by pixel id")
    return {pixel_id: _read_pixel(section, pixel_id) for pixel_id in section.names()}


def _read_pixel(pixels: Section, pixel_id: str) -> PixelSettings:
    if not rules.is_pixel_id(pixel_id):
        pixels.wrong(pixel_id, "a key that is no pixel id", "a pixel id: digits and a to z, as o8z6j")
    pixel = pixels.section(pixel_id, required="an object with credentials and, for events by name, event_ids")
    credentials = pixel.require("credentials", rules.CREDENTIALS_FORM)
    fault = None if credentials is None else rules.credentials_fault(credentials)
    if fault:
        pixel.wrong("credentials", fault, rules.CREDENTIALS_FORM)
    read = PixelSettings(
        pixel_id=pixel_id,
        credentials=credentials if isinstance(credentials, str) else "",
        event_ids=_read_event_ids(pixel, pixel_id),
        conversion_id_from=pixel.texts("conversion_id_from", "a list of field names"),
        consent_categories=pixel.texts("consent_categories", "a list of consent categories") or (),
    )
    pixel.close()
    return read


def _read_event_ids(pixel: Section, pixel_id: str) -> dict[str, str]:
    """Read the names that the pixel wants; none are needed where events bring X's own tag in `event_id`."""
    section = pixel.section("event_ids")
    event_ids: dict[str, str] = {}
    first_spelling: dict[str, str] = {}
    for name in section.names():
        tag = section.get(name)
        fault = rules.event_tag_fault(tag, pixel_id)
        if fault or not isinstance(tag, str):
            section.wrong(name, fault or kind(tag), f"an event tag of this pixel, as o87ne or tw-{pixel_id}-o87ne")
            continue
        normal = normalise_event_name(name)
        other = first_spelling.setdefault(normal, name)
        if not normal or not name.isprintable():
            section.wrong(name, "a key that is no event name", "an event's name")
        elif other != name and event_ids[other] != tag:
            section.wrong(name, "another tag than the same name has in another spelling", "one tag for one name")
        event_ids[name] = tag
    return event_ids


def _read_default_pixel(document: Section, pixels: Mapping[str, PixelSettings]) -> str | None:
    value = document.get("default_pixel")
    if value is None:
        return next(iter(pixels)) if len(pixels) == 1 else None
    if isinstance(value, str) and value in pixels:
        return value
    hint = did_you_mean(value, pixels) if isinstance(value, str) else ""
    document.wrong("default_pixel", describe(value), "one of the keys of pixels" + hint)
    return None
