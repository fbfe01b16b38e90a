"""Events in packed messages, in process: a push request's bytes in, the bodies of X's requests out."""

import gc
import hashlib
import time
from collections.abc import Callable, Sequence

import msgspec

from tests.benchmarks.configuration import configuration
from tests.benchmarks.results import CannotMeasureError, Result, Table, judged
from tests.benchmarks.running import Run, medians
from tests.benchmarks.workload import NOW, Sample, array_of, push_body, sale, with_phone
from xcapi_core.conversions import Conversion
from xcapi_core.events.reading import ReadEvent, read_events
from xcapi_core.pubsub import read_delivery
from xcapi_core.settings import Settings
from xcapi_core.settings.reader import load_settings
from xcapi_core.x_api.protocol import build_request

__all__ = ["cpu_s_of_reading", "measure"]

# X takes 67 events a second from an ad account; a share of what the bytes alone cost holds on any machine.
GOAL = 0.25
EVENTS = 10_000
A_REQUEST = 500
HEADERS = {"content-type": "application/json"}
SAMPLES: Sequence[tuple[str, Sample]] = (
    ("click id, e-mail, value, one content line", sale),
    ("and a phone number, E.164", with_phone(national=False)),
    ("and a phone number, national", with_phone(national=True)),
)


class _Message(msgspec.Struct):
    data: bytes


class _Envelope(msgspec.Struct):
    message: _Message


_envelopes = msgspec.json.Decoder(_Envelope)


def measure(run: Run) -> list[Result]:
    """Compare with the floor: decode the same bytes, hash what is to be hashed, encode it again."""
    settings = load_settings({"XCAPI_CONFIG": configuration()})
    found = [_compare(run, name, sample, settings) for name, sample in SAMPLES]
    rates = [rate for rate, _ in found]
    shares = [rate / floor for rate, floor in found]
    rows = [
        (name, f"{rate:,.0f}", f"{1e6 / rate:.1f}", f"{floor:,.0f}", f"{rate / floor:.2f}")
        for (name, _), (rate, floor) in zip(SAMPLES, found, strict=True)
    ]
    table = Table(
        title=f"One message of {int(run.scaled(EVENTS)):,} events, in process, by CPU time",
        columns=("event", "events/s a core", "µs an event", "floor, events/s", "of the floor"),
        rows=rows,
        note="The floor is msgspec's decode of the same bytes, SHA-256 of e-mail and phone number, msgspec's encode.",
    )
    figures = {
        "events_per_s": rates[0],
        "share_of_floor": shares[0],
        "events_per_s_phone_e164": rates[1],
        "events_per_s_phone_national": rates[2],
    }
    return [
        Result(
            what="events in packed messages, message bytes in, request bytes out, in process",
            goal=f"≥ {GOAL} of the floor",
            measured=f"{rates[0]:,.0f} events/s",
            ratio=f"{shares[0]:.2f} of the floor",
            verdict=judged(met=shares[0] >= GOAL),
            figures=figures,
            tables=[table],
        ),
        Result(
            what="… with a phone number, E.164",
            goal="",
            measured=f"{rates[1]:,.0f} events/s",
            ratio=f"{shares[1]:.2f} of the floor",
        ),
        Result(
            what="… with a phone number, national",
            goal="",
            measured=f"{rates[2]:,.0f} events/s",
            ratio=f"{shares[2]:.2f} of the floor",
        ),
    ]


def _compare(run: Run, name: str, sample: Sample, settings: Settings) -> tuple[float, float]:
    """Return events a CPU second, ours and the floor's. Each round reads events that were not there before."""
    count = int(run.scaled(EVENTS))

    def ours() -> float:
        return _timed(_read, push_body(array_of(sample, count)), settings)

    def floor() -> float:
        return _timed(_floor, push_body(array_of(sample, count)), settings)

    spent = medians(run.in_turn({f"{name}: ours": ours, f"{name}: floor": floor}))
    mine, least = spent.values()
    return count / mine, count / least


def cpu_s_of_reading(body: bytes, settings: Settings) -> float:
    """Return the CPU seconds from a push request's bytes to those of X's requests."""
    return _timed(_read, body, settings)


def _timed(work: Callable[[bytes, Settings], int], body: bytes, settings: Settings) -> float:
    gc.collect()  # what other rounds left is not this one's to clear away
    started = time.process_time()
    work(body, settings)
    return time.process_time() - started


def _read(body: bytes, settings: Settings) -> int:
    waiting: list[Conversion] = []
    size = 0
    message = read_delivery(HEADERS, body)
    for event in read_events(message, settings, received_at=NOW, settled=frozenset()):
        if not isinstance(event, ReadEvent) or not isinstance(event.result, Conversion) or event.result.dropped:
            raise CannotMeasureError("a sample is not read as what it is")
        waiting.append(event.result)
        if len(waiting) == A_REQUEST:
            size += _request(waiting, settings)
            waiting.clear()
    return size + (_request(waiting, settings) if waiting else 0)


def _request(conversions: Sequence[Conversion], settings: Settings) -> int:
    request = build_request(
        api_base_url=settings.api_base_url,
        api_version=settings.api_version,
        pixel_id=conversions[0].pixel_id,
        conversions=conversions,
    )
    return len(request.body)


def _floor(body: bytes, _settings: Settings) -> int:
    events = msgspec.json.decode(_envelopes.decode(body).message.data)
    sha256 = hashlib.sha256
    for event in events:
        event["email"] = sha256(event["email"].encode()).hexdigest()
        if "phone" in event:
            event["phone"] = sha256(event["phone"].encode()).hexdigest()
    return len(msgspec.json.encode(events))
