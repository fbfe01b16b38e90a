"""A message's data → its events, under every consent policy."""

import json
from collections.abc import Hashable, Mapping
from typing import Literal, get_args

import msgspec

from tests.fuzz.inputs import chosen, joined, parted, texts
from tests.fuzz.logged import LogTap
from tests.fuzz.mutation import Words
from tests.fuzz.targets.reading import (
    NAMES,
    PIXELS,
    RECEIVED,
    VALUES,
    assert_x_takes,
    case_events,
    expected_elements,
    pixel_settings,
    shown_safely,
)
from xcapi_core.conversions import Conversion
from xcapi_core.events.decoding import decode_event
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.events.splitting import Unreadable
from xcapi_core.outcomes import Skipped, SkipReason
from xcapi_core.problems import Problem
from xcapi_core.pubsub import PubsubMessage
from xcapi_core.settings import Settings

__all__ = ["Events"]

_Policy = Literal["ignore", "respect", "require"]
_POLICIES: tuple[_Policy, ...] = get_args(_Policy)
# What an element may have that makes several events of it.
_BODIES = frozenset({"batch", "conversions", "events", "specversion"})


def _is_refused(result: object) -> bool:
    return isinstance(result, Skipped) and result.reason is SkipReason.NO_CONSENT


_HEAD: Mapping[str, tuple[object, ...]] = {
    "region": (None, "GB", "US"),
    "currency": (None, "EUR"),
    "age_hours": (None, 1.0),
    "pixel": (PIXELS[0], PIXELS[1], None),
    "settled": ([], [0], [1, 2]),
    "attributes": (
        {},
        {"format": "x"},
        {"format": "ga4"},
        {"format": "segment"},
        {"pixel_id": "p2q7x"},
        {"xcapi_conversion_id": "A-1", "xcapi_event_index": "3"},
        {"xcapi_event_indices": "0-3,7"},
        {"xcapi_publish_time": "2026-04-20T12:00:00Z"},
    ),
    "published": ("2026-04-20T12:34:56.789Z", "", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00+23:59"),
}


class Events:
    """Reads one message three times over."""

    name = "events"
    words = Words(names=NAMES, values=VALUES, head=_HEAD)

    def __init__(self) -> None:
        self._settings: dict[tuple[object, ...], Settings] = {}

    def seeds(self) -> list[bytes]:
        """Return each case alone, and in threes."""
        events = list(case_events())
        groups = [*events, *(events[start : start + 3] for start in range(0, len(events), 3))]
        return [joined({"region": "GB", "currency": "EUR"}, msgspec.json.encode(group)) for group in groups]

    def run(self, data: bytes, log: LogTap) -> Hashable:
        """Read it; what is let through must be what X takes, and no event may be lost or doubled."""
        head, body = parted(data)
        message = PubsubMessage(
            message_id="1",
            publish_time=chosen(head, "published", [str(text) for text in _HEAD["published"]]),
            data=body,
            attributes=texts(head, "attributes"),
            subscription="projects/p/subscriptions/s",
            ordering_key="",
            delivery_attempt=None,
        )
        settled = frozenset(chosen(head, "settled", ([], [0], [1, 2])))
        readings = [self._read(message, head, policy, settled) for policy in _POLICIES]
        self._compare(readings)
        self._assert_account(body, readings[0], settled)
        self._assert_a_no_wins(message, head)
        log.lines()
        return tuple(dict.fromkeys(kind for reading in readings for event in reading for kind in self._kinds(event)))

    def _read(
        self, message: PubsubMessage, head: Mapping[str, object], policy: _Policy, settled: frozenset[int]
    ) -> list[ReadEvent | int]:
        return list(read_events(message, self._settings_of(head, policy), received_at=RECEIVED, settled=settled))

    def _settings_of(self, head: Mapping[str, object], policy: _Policy) -> Settings:
        region, currency = chosen(head, "region", (None, "GB", "US")), chosen(head, "currency", (None, "EUR"))
        age, pixel = chosen(head, "age_hours", (None, 1.0)), chosen(head, "pixel", (*PIXELS, None))
        key = (region, currency, age, pixel, policy)
        if key not in self._settings:
            self._settings[key] = Settings(
                dead_letter_topic="file:letters",
                pixels=pixel_settings(),
                default_pixel=pixel,
                default_phone_region=region,
                default_currency=currency,
                max_event_age_hours=age,
                consent=policy,
            )
        return self._settings[key]

    @staticmethod
    def _compare(readings: list[list[ReadEvent | int]]) -> None:
        """Hold the policies to each other: a stricter one skips more, and changes nothing else."""
        ignoring, respecting, requiring = readings
        assert len(ignoring) == len(respecting) == len(requiring), "the policy changes how many events there are"
        for free, respected, required in zip(ignoring, respecting, requiring, strict=True):
            if isinstance(free, int):
                assert free == respected == required
                continue
            assert isinstance(respected, ReadEvent)
            assert isinstance(required, ReadEvent)
            assert not _is_refused(free.result), "skipped although consent is ignored"
            if not _is_refused(respected.result):
                assert respected == free, "what consent allows is read otherwise"
            else:
                assert required.result == respected.result, "a no that is none where a yes is required"
            if not _is_refused(required.result):
                assert required == free, "what consent allows is read otherwise"

    @staticmethod
    def _assert_account(body: bytes, reading: list[ReadEvent | int], settled: frozenset[int]) -> None:
        indices = [event if isinstance(event, int) else event.event_index for event in reading]
        if indices == [None]:
            return
        assert indices == list(range(len(indices))), "an event is missing, or is there twice"
        assert {event for event in reading if isinstance(event, int)} == settled & set(range(len(indices)))
        events = [event for event in reading if isinstance(event, ReadEvent)]
        for event in events:
            # What JSON text holds is not in the message as it stands.
            assert event.event_bytes in body or b"\\" in body, "an event's bytes are not the message's"
            if isinstance(event.result, Conversion):
                assert_x_takes(event.result)
        elements = expected_elements(body)
        if (
            events
            and elements is not None
            and not any(isinstance(e, dict) and not _BODIES.isdisjoint(e) for e in elements)
        ):
            assert len(elements) == len(indices), "an array is split otherwise than JSON does"

    def _assert_a_no_wins(self, message: PubsubMessage, head: Mapping[str, object]) -> None:
        """Say no in the first event, and around all of them: whatever else they say, none is sent or kept."""
        elements = expected_elements(message.data) or []
        first = next((element for element in elements if isinstance(element, dict)), None)
        if first is None:
            return
        around = b'{"consent":"denied","events":' + message.data.strip() + b"}"
        for data in (json.dumps(first | {"opt_out": True}).encode(), around):
            events = self._read(msgspec.structs.replace(message, data=data), head, "respect", frozenset())
            # Of a message in which no event can be told from another, nobody can say who refused.
            ends = [event.result for event in events if isinstance(event, ReadEvent)]
            is_kept = any(not _is_refused(end) and not isinstance(end, Unreadable) for end in ends)
            is_readable = not isinstance(decode_event(data), Problem) and "format" not in message.attributes
            assert not (is_readable and is_kept), "sent or kept although somebody says no"

    @staticmethod
    def _kinds(event: ReadEvent | int) -> list[str]:
        if isinstance(event, int):
            return ["settled"]
        dropped = event.result.dropped if isinstance(event.result, Conversion) else ()
        return [shown_safely(event), *dropped]
