"""The checks of a pixel at X: reachable, clock, keys, Ads API access, pixel, event tags, the user's role.

All but the last two are told by one request, the control of `xcapi_core.cli.x.questions`, which X must refuse.
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Final

from xcapi_core.cli.doctor.check import Check, Checks
from xcapi_core.cli.x.accounts import ROLES, EventTag, XRefusalError, account_of_pixel, roles_of, tags_of
from xcapi_core.cli.x.client import XAnswer, XClient, XUnreachableError
from xcapi_core.cli.x.questions import UNKNOWN_TAG, Judgement, Surprise, ask_control, put, read_answer
from xcapi_core.settings import PixelSettings, Settings
from xcapi_core.x_api.credentials import Credentials, PixelToken
from xcapi_core.x_api.protocol import TRANSIENT_CLIENT_ERRORS

__all__ = ["ChecksAtX"]

# RFC 5849 section 3.3 leaves the tolerance to the server; five minutes are usual.
_CLOCK_WRONG_S: Final = 240.0
_CLOCK_SUSPECT_S: Final = 30.0
_OF_THE_CONTROL: Final = ("keys_accepted", "ads_api_access", "pixel")
_AFTER_REACHABLE: Final = ("clock", *_OF_THE_CONTROL)
_NO_KEYS: Final = "there are no keys to ask X with"
_NOT_ASKED: Final = "not asked after what was found before"
_TOKEN_READS_NOTHING: Final = "a pixel token reads nothing at X: Events Manager shows it"  # noqa: S105 - a sentence

_BEHIND_A_WALL: Final = "X's API must be reachable by https from where the function runs: a proxy, a VPC's egress rule?"
_LATER: Final = "X is unwell, or its rate budget is spent: run this again later."
_SET_THE_CLOCK: Final = (
    "Set this machine's clock by NTP: timedatectl set-ntp true. Where the function runs, Google does"
)
_CLOCK_RIGHT: Final = "The clock is right, so "
_CLOCK_FIRST: Final = "Look at the clock first, as above. Where that is not it: "
_WRONG_KEYS: Final = (
    "it is the keys: of another app, revoked, or copied with a mistake. Get them anew (`xcapi "
    "authorize`, or the developer portal) and try them: xcapi doctor --keys keys.json --pixel …"
)
_NO_ACCESS: Final = (
    "Apply for Ads API access with Conversion API ticked, and give the app's id (days of review). Until then a pixel "
    "token from Events Manager needs no access."
)
_NO_ROUTE: Final = "Check api_base_url (https://ads-api.x.com) and api_version in the configuration."
_NO_PIXEL: Final = (
    "Either the pixel is another account's (Events Manager shows its id), or the keys' user has no role in its account:"
    " add the handle as Ad manager in ads.x.com, under Edit access to account."
)
_COUNTED: Final = (
    "X may have counted one synthetic conversion, with random ids and an unknown tag. Nothing more is asked; leave "
    "`validate --ask-x` alone, and report what X answered."
)
_ODD: Final = "Nothing more is asked. X's reference may explain the words."
_NO_TAG: Final = "`xcapi tags list` shows the account's tags, `xcapi tags create` makes one."
_NOT_TRACKING: Final = "Normal before the first event: TRACKING comes 12 to 24 hours after it."
_NO_ROLE: Final = "Make the keys' user AD_MANAGER or ACCOUNT_ADMIN: ads.x.com, Edit access to account."


class ChecksAtX:
    """Yields the checks from `x_reachable` to `user_role` for one pixel: every one of them, in this order."""

    def __init__(self, settings: Settings, pixel: PixelSettings, credentials: Credentials | None) -> None:
        self._settings = settings
        self._pixel = pixel
        self._credentials = credentials
        self._has_token = isinstance(credentials, PixelToken)
        self._checks = Checks(pixel.pixel_id)

    def __iter__(self) -> Iterator[Check]:
        """Ask the control, then read the account. Without credentials, X is not asked."""
        if self._credentials is None:
            yield from self._skipped(("x_reachable", *_AFTER_REACHABLE), _NO_KEYS)
            yield from self._without_account(_NO_KEYS)
            return
        client = XClient(self._settings.api_base_url, self._settings.api_version, self._credentials)
        control = ask_control()
        try:
            answer = put(control, client, self._pixel.pixel_id)
        except XUnreachableError as error:
            yield self._checks.failed("x_reachable", str(error), _BEHIND_A_WALL)
            yield from self._skipped(_AFTER_REACHABLE, _NOT_ASKED)
            yield from self._without_account(_NOT_ASKED)
            return
        if _is_unwell(answer.status):
            # Failed, since nobody knows about the keys: `xcapi doctor --keys … && gcloud secrets versions add …`.
            yield self._checks.failed("x_reachable", f"X answered {answer.status}", _LATER)
        else:
            yield self._checks.ok("x_reachable", f"X answered {answer.status}")
        clock = self._clock(answer, is_refused=answer.status == HTTPStatus.UNAUTHORIZED)
        yield clock
        if clock.status == "failed":
            # X judges a signature's time before its keys, so nobody knows yet what it thinks of these.
            findings: list[Check] = list(self._skipped(_OF_THE_CONTROL, _NOT_ASKED))
        else:
            wrong_keys = f"{_CLOCK_RIGHT if clock.status == 'ok' else _CLOCK_FIRST}{_WRONG_KEYS}"
            findings = list(self._of_control(answer, read_answer(control, answer), wrong_keys))
        yield from findings
        if findings[-1].status != "ok":
            yield from self._without_account(_NOT_ASKED)
        elif self._has_token:
            yield from self._without_account(_TOKEN_READS_NOTHING)
        else:
            yield from self._of_account(client, answer.account_id)

    def _clock(self, answer: XAnswer, *, is_refused: bool) -> Check:
        ahead = answer.clock_ahead_s
        if ahead is None:
            return self._checks.skipped("clock", "the answer names no time")
        found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} X's" if abs(ahead) >= 1 else "as X's"
        if abs(ahead) > _CLOCK_WRONG_S and is_refused:
            return self._checks.failed("clock", f"{found}: X refuses signatures of such a time", _SET_THE_CLOCK)
        if abs(ahead) > _CLOCK_SUSPECT_S:
            return self._checks.warning("clock", found, _SET_THE_CLOCK)
        return self._checks.ok("clock", found)

    def _of_control(self, answer: XAnswer, read: Judgement | Surprise, wrong_keys: str) -> Iterator[Check]:
        """Yield keys, access and pixel; the last is "ok" only where X judged the control as it must."""
        checks, words = self._checks, answer.words
        if isinstance(read, Judgement):
            account = f"in ad account {answer.account_id}" if answer.account_id else "X knows it"
            stops = "" if UNKNOWN_TAG in answer.text else "; X stops at its first error"
            yield from self._accepted(checks.ok("pixel", f"{account}{stops}"))
        elif answer.status == HTTPStatus.UNAUTHORIZED:
            yield checks.failed("keys_accepted", words, wrong_keys)
            yield from self._skipped(_OF_THE_CONTROL[1:], _NOT_ASKED)
        elif answer.status == HTTPStatus.FORBIDDEN:
            yield checks.ok("keys_accepted", "X knows the app")
            yield checks.failed("ads_api_access", words, _NO_ACCESS)
            yield checks.skipped("pixel", _NOT_ASKED)
        elif answer.status == HTTPStatus.NOT_FOUND:
            is_no_route = any(code == "ROUTE_NOT_FOUND" for code, _ in answer.errors)
            yield from self._accepted(checks.failed("pixel", words, _NO_ROUTE if is_no_route else _NO_PIXEL))
        elif _is_unwell(answer.status):
            yield from self._skipped(_OF_THE_CONTROL, _NOT_ASKED)
        elif read.may_have_counted:
            found = f"X answered {answer.status} to a conversion that it must refuse"
            yield from self._accepted(checks.failed("pixel", found, _COUNTED))
        else:
            yield from self._skipped(_OF_THE_CONTROL[:2], "X answered otherwise than its documentation says")
            yield checks.warning("pixel", words, _ODD)

    def _accepted(self, pixel: Check) -> Iterator[Check]:
        access = self._checks.skipped("ads_api_access", "a pixel token needs none") if self._has_token else None
        yield self._checks.ok("keys_accepted", "X took their signature")
        yield access or self._checks.ok("ads_api_access", "the app has it")
        yield pixel

    def _of_account(self, client: XClient, account_id: str | None) -> Iterator[Check]:
        try:
            account_id = account_id or account_of_pixel(client, self._pixel.pixel_id)
            tags = tags_of(client, account_id) if account_id else []
            roles = roles_of(client, account_id) if account_id else frozenset[str]()
        except (XRefusalError, XUnreachableError) as error:
            yield from self._without_account(f"X would not say: {error}")
            return
        for event, event_tag in self._pixel.event_ids.items():
            yield self._tag(event, event_tag, next((tag for tag in tags if tag.is_meant_by(event_tag)), None))
        found = ", ".join(sorted(roles)) or "none"
        is_fit = bool(roles & ROLES)
        yield self._checks.ok("user_role", found) if is_fit else self._checks.failed("user_role", found, _NO_ROLE)

    def _tag(self, event: str, event_tag: str, tag: EventTag | None) -> Check:
        if tag is None:
            return self._checks.failed("event_tag", f"{event_tag} is no tag of the account", _NO_TAG, event=event)
        found = f"{tag.name}, {tag.kind}, {tag.status}, last seen {tag.last_seen or 'never'}"
        if tag.pixel_id != self._pixel.pixel_id:
            return self._checks.failed("event_tag", f"{found}: of pixel {tag.pixel_id}", _NO_TAG, event=event)
        if tag.status == "TRACKING":
            return self._checks.ok("event_tag", found, event=event)
        return self._checks.warning("event_tag", found, _NOT_TRACKING, event=event)

    def _without_account(self, why: str) -> Iterator[Check]:
        for event in self._pixel.event_ids:
            yield self._checks.skipped("event_tag", why, event=event)
        yield self._checks.skipped("user_role", why)

    def _skipped(self, names: Iterable[str], why: str) -> Iterator[Check]:
        return (self._checks.skipped(name, why) for name in names)


def _is_unwell(status: int) -> bool:
    """Tell whether X would judge the same request otherwise later."""
    return status in TRANSIENT_CLIENT_ERRORS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
