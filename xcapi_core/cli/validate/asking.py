"""`xcapi validate --ask-x`: X itself judges what the function would send, and counts nothing.

What is asked, and how the answer is read, is made in `xcapi_core.cli.x.questions` alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import sleep
from typing import Final

import click
import msgspec

from xcapi_core.cli.asking import confirmed
from xcapi_core.cli.validate.verdicts import Verdict
from xcapi_core.cli.x.accounts import XRefusalError, account_of_pixel
from xcapi_core.cli.x.client import XClient, XUnreachableError
from xcapi_core.cli.x.keys import KeysError, keys_of
from xcapi_core.cli.x.questions import (
    UNKNOWN_TAG,
    Judgement,
    Question,
    Surprise,
    ask_about,
    ask_control,
    put,
    read_answer,
)
from xcapi_core.settings import Settings
from xcapi_core.x_api.credentials import OAuth1Keys

__all__ = ["MOST_QUESTIONS", "Asking", "Reply"]

MOST_QUESTIONS: Final = 50
_ONE_A_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What X says of one event: nothing to object, or its words."""

    verdict: Verdict
    words: tuple[str, ...]
    left_out: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return the reply as `--json` prints it."""
        place: dict[str, object] = {"file": self.verdict.file, "line": self.verdict.line}
        if self.verdict.event_index is not None:
            place["event_index"] = self.verdict.event_index
        return {**place, "asked_x": {"takes_it": not self.words, "words": list(self.words), "left_out": self.left_out}}


class Asking:
    """Asks X about conversions, one a second, 50 at most; stops at the first answer that nobody expected."""

    def __init__(self, settings: Settings, *, with_value: bool) -> None:
        self._settings = settings
        self._with_value = with_value
        self._clients: dict[str, XClient] = {}
        self._asked: list[Verdict] = []
        self.beyond = 0
        self.stopped = ""

    def note(self, verdict: Verdict) -> None:
        """Remember an event that the function would send, while there are not 50."""
        if not verdict.wire:
            return
        if len(self._asked) < MOST_QUESTIONS:
            self._asked.append(verdict)
        else:
            self.beyond += 1

    def agreed(self, *, yes: bool) -> bool:
        """Ask y/N, with each pixel and its account. Ends the command where there are no keys."""
        pixels = dict.fromkeys(verdict.pixel_id for verdict in self._asked)
        if not pixels:
            click.echo("There is nothing to ask X about: no event would be sent.", err=True)
            return False
        count = len(self._asked)
        click.echo(
            f"X judges {count:,} conversion{'' if count == 1 else 's'}, with synthetic people and ids, and must refuse "
            "every one. X has no test mode; as far as anybody has seen it then counts nothing.",
            err=True,
        )
        for pixel_id in pixels:
            click.echo(f"  pixel {pixel_id}, {self._account(pixel_id)}", err=True)
        return yes or confirmed("Ask X?")

    def replies(self) -> Iterator[Reply]:
        """Ask: first a control for each pixel, then about each event. `stopped` says why there was an early end."""
        for pixel_id in dict.fromkeys(verdict.pixel_id for verdict in self._asked):
            control = ask_control()
            answer = self._ask(pixel_id, control)
            if isinstance(answer, Surprise):
                return
            if not any(UNKNOWN_TAG in message for _, message in answer.errors):
                click.echo(f"X stops at its first error (pixel {pixel_id}): it may not name all.", err=True)
        for verdict in self._asked:
            question = ask_about(_conversion(verdict.wire), with_value=self._with_value)
            answer = self._ask(verdict.pixel_id, question)
            if isinstance(answer, Surprise):
                return
            words = tuple(f"{code}: {message}" for code, message in answer.errors)
            yield Reply(verdict=verdict, words=words, left_out=question.left_out)

    def _ask(self, pixel_id: str, question: Question) -> Judgement | Surprise:
        sleep(_ONE_A_S)
        client = self._client(pixel_id)
        try:
            answer = put(question, client, pixel_id)
        except XUnreachableError as error:
            self.stopped = f"X did not answer ({error}): it may have counted this one synthetic conversion."
            return Surprise(0, str(error), may_have_counted=True)
        read = read_answer(question, answer)
        if isinstance(read, Surprise):
            counted = (
                "It may have counted this one synthetic conversion" if read.may_have_counted else "Nothing counted"
            )
            self.stopped = (
                f"X answered {read.status} ({read.words}) where it had to refuse. {counted}; nothing more was asked. "
                "`xcapi doctor` looks into keys, access and pixel."
            )
        return read

    def _account(self, pixel_id: str) -> str:
        client = self._client(pixel_id)
        if not isinstance(keys_of(self._settings.pixels[pixel_id].credentials), OAuth1Keys):
            return "the ad account that its token belongs to"
        try:
            account_id = account_of_pixel(client, pixel_id)
        except (XRefusalError, XUnreachableError):
            account_id = None
        return f"ad account {account_id}" if account_id else "ad account unknown"

    def _client(self, pixel_id: str) -> XClient:
        if pixel_id not in self._clients:
            try:
                keys = keys_of(self._settings.pixels[pixel_id].credentials)
            except KeysError as error:
                raise click.ClickException(f"There are no keys to ask X with, for pixel {pixel_id}: {error}") from None
            self._clients[pixel_id] = XClient(self._settings.api_base_url, self._settings.api_version, keys)
        return self._clients[pixel_id]


def _conversion(wire: bytes) -> Mapping[str, object]:
    found: Mapping[str, object] = msgspec.json.decode(wire)
    return found
