"""XCAPI_CONFIG → Settings, or a list of problems."""

import json
from collections.abc import Hashable

import msgspec

from tests.fuzz.inputs import joined, parted
from tests.fuzz.logged import LogTap
from tests.fuzz.mutation import Words
from tests.fuzz.planted import SECRETS, Leaked, assert_discreet
from tests.settings.test_reader import CASES, changed
from xcapi_core.settings import Settings
from xcapi_core.settings.reader import ConfigurationError, read_settings
from xcapi_core.settings.summary import summary

__all__ = ["Configuration"]

_WORDS = Words(
    names="""
        dead_letter_topic remainder_topic log_conversion_ids pixels default_pixel
        default_phone_region default_currency consent on_unauthorized
        max_event_age_hours dry_run api_base_url api_version request_timeout_s settle_timeout_s batch max_conversions
        max_in_flight rate events window_s credentials event_ids conversion_id_from consent_categories o8z6j purchase
        o8z6j2 Pixels rates
        """.split(),  # noqa: SIM905 - as a list it takes a screen
    values=(
        *("projects/p/topics/dead", "file:dead", "projects/p/secrets/s/versions/latest", "env:KEYS", "file:k"),
        *("respect", "require", "ignore", "dead_letter", "requeue", "https://ads-api.x.com", "http://[::1]:8080/"),
        *(
            f"https://user:{SECRETS[0]}@x.example",
            f"https://x.example/?{SECRETS[1]}",
            "tw-o8z6j-o8z21",
            "12",
            "de",
            "EUR",
        ),
        *(SECRETS * 3),
        {"credentials": "env:KEYS", "event_ids": {"purchase": "o8z21"}},
        {"credentials": SECRETS[0], "event_ids": {"sign_up": SECRETS[1]}},
        {"max_conversions": 500},
        {"events": 1, "window_s": 0.1},
    ),
    head={},
    plants=False,  # a key may be quoted, since people misspell keys; a value may not
)


class Configuration:
    """Reads one document."""

    name = "configuration"
    words = _WORDS

    def seeds(self) -> list[bytes]:
        """Return the documents of the case table."""
        return [joined({}, changed(case).encode()) for case in CASES]

    def run(self, data: bytes, log: LogTap) -> Hashable:
        """Read it: settings whose summary shows no secret, or problems that quote no value."""
        body = parted(data)[1]
        try:
            settings = read_settings(body)
        except ConfigurationError as error:
            assert error.problems, "refused without a problem"  # noqa: PT017 - this is no test
            _assert_discreet(body, str(error) + repr(error.problems))
            log.lines()
            return tuple(sorted({f"{_place(problem.path)} {problem.expected[:20]}" for problem in error.problems}))
        _assert_usable(settings)
        _assert_discreet(body, json.dumps(summary(settings), allow_nan=False))
        log.lines()
        return settings.consent, settings.on_unauthorized, settings.dry_run, len(settings.pixels)


def _assert_usable(settings: Settings) -> None:
    assert settings.pixels, "settings without a pixel"
    assert settings.default_pixel is None or settings.default_pixel in settings.pixels
    assert 0 < settings.request_timeout_s < settings.settle_timeout_s <= 580, "no POST could ever start"
    assert 1 <= settings.batch.max_conversions <= 500
    assert settings.batch.max_in_flight >= 1
    assert settings.rate.events >= 1
    assert settings.rate.window_s > 0
    hash((settings.dead_letter_project, settings.default_phone_region))


def _place(path: str) -> str:
    """Return a path without its user's own names."""
    return path.rpartition(".")[2] if len(path) < 40 else ""


def _assert_discreet(body: bytes, text: str) -> None:
    try:
        assert_discreet("a problem or the summary", text, secrets_only=True)
    except Leaked:
        # Quoted as the key that it was by accident, or as a name of the publisher's own, which the summary shows.
        if not _is_name(msgspec.json.decode(body)):
            raise


def _is_name(node: object) -> bool:
    """Tell whether a planted value is a key, or among the names that are no secret by their meaning."""
    if isinstance(node, list):
        return any(map(_is_name, node))
    if not isinstance(node, dict):
        return False
    named = [*node, *(node.get("conversion_id_from") or ()), *(node.get("consent_categories") or ())]
    return any("zq7k" in str(name) for name in named) or any(map(_is_name, node.values()))
