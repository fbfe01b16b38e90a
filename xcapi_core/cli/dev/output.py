"""What `xcapi dev` prints: each event, the request that it became and X's verdict; at the end, how many ended where."""

import json
import sys
from collections import Counter
from typing import Any, Final, Protocol

from rich.console import Console
from rich.text import Text

from xcapi_core.cli.dev.run import SentEvent
from xcapi_core.cli.validate.output import verdict_as_json
from xcapi_core.cli.validate.unread import in_words, worth_a_look
from xcapi_core.cli.validate.verdicts import Verdict
from xcapi_core.sandbox.console.details import details

__all__ = ["JsonOutput", "Output", "PeopleOutput", "Tally"]

_STYLES: Final = {"delivered": "bold green", "skipped": "cyan", "dead_lettered": "bold red"}
_LONGEST: Final = 400


class Tally:
    """Counts where events ended."""

    def __init__(self) -> None:
        self.ends: Counter[tuple[str, str]] = Counter()
        self.unpublished = 0
        self.files_unread = 0

    def add(self, event: SentEvent) -> None:
        """Count one event."""
        self.ends[event.entry.verdict, event.entry.reason] += 1

    @property
    def is_well(self) -> bool:
        """Whether every event was delivered, or left out on purpose."""
        bad = [end for end in self.ends if end[0] not in ("delivered", "skipped")]
        return not (bad or self.unpublished or self.files_unread)

    def as_json(self) -> dict[str, object]:
        """Return the summary for scripts."""
        verdicts: Counter[str] = Counter()
        reasons: dict[str, dict[str, int]] = {}
        for (verdict, reason), count in self.ends.most_common():
            verdicts[verdict] += count
            if reason:
                reasons.setdefault(verdict, {})[reason] = count
        return {
            "events": self.ends.total() + self.unpublished,
            "ok": self.is_well,
            "verdicts": dict(verdicts),
            "reasons": reasons,
            "unpublished": self.unpublished,
            "files_unread": self.files_unread,
        }


class Output(Protocol):
    """Tells somebody of the run."""

    def step(self, text: str) -> None:
        """Say what is being started."""

    def started(self, console_url: str, command: str, publish: str) -> None:
        """Say that everything runs: the console's address, the function's command, how to publish more."""

    def event(self, event: SentEvent) -> None:
        """Tell of one event."""

    def unpublished(self, verdict: Verdict) -> None:
        """Tell of what could not even be published."""

    def trouble(self, file: str, problem: str) -> None:
        """Tell of a file that could not be read to its end."""

    def summary(self, tally: Tally) -> None:
        """Tell how many ended where."""


class JsonOutput:
    """JSON lines: each event as `validate` has it, with its request, answer and verdict; then the summary."""

    def __init__(self) -> None:
        self._started: dict[str, str] = {}

    def step(self, text: str) -> None:
        """Print nothing."""

    def started(self, console_url: str, command: str, publish: str) -> None:
        """Remember for the summary."""
        self._started = {"console": console_url, "command": command, "publish": publish}

    def event(self, event: SentEvent) -> None:
        """Print one object."""
        shown = details(event.entry, revealed=False)
        last = next(reversed(_list(shown["exchanges"])), None)
        self._print(
            {
                **verdict_as_json(event.verdict),
                "verdict": event.entry.verdict,
                "reason": event.entry.reason,
                "request": last and {"line": last["request"], "headers": last["headers"], "place": last["place"]},
                "answer": last and {"status": last["status"], "body": last["answer"]},
                "advice": shown["advice"],
            }
        )

    def unpublished(self, verdict: Verdict) -> None:
        """Print one object."""
        self._print({**verdict_as_json(verdict), "verdict": "unpublished"})

    def trouble(self, file: str, problem: str) -> None:
        """Print one object."""
        self._print({"file": file, "problem": problem})

    def summary(self, tally: Tally) -> None:
        """Print one object."""
        self._print({"summary": {**tally.as_json(), **self._started}})

    def _print(self, shown: object) -> None:
        sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")
        sys.stdout.flush()


class PeopleOutput:
    """A few lines an event: in colour on a terminal, plain in a pipe."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, text: str) -> None:
        """Print one line."""
        self._print(Text(text, style="dim"))

    def started(self, console_url: str, command: str, publish: str) -> None:
        """Print where to look, and what to type instead."""
        self._print(Text.assemble(("\nConsole:  ", "bold"), (console_url, "bold cyan")))
        self._print(Text.assemble(("Publish:  ", "bold"), publish))
        self._print(Text.assemble(("By hand:  ", "bold"), (command, "dim"), "\n"))

    def event(self, event: SentEvent) -> None:
        """Print the event, the request and the verdict."""
        shown = details(event.entry, revealed=False)
        index = "" if event.verdict.event_index is None else f"[{event.verdict.event_index}]"
        verdict, reason = event.entry.verdict, event.entry.reason.replace("_", " ")
        head = Text.assemble(
            (f"{event.verdict.file}:{event.verdict.line}{index}", "dim"),
            f"  {shown['name'] or 'no name'}  ",
            (verdict.replace("_", "-"), _STYLES.get(verdict, "yellow")),
            f"  {reason}" if reason else "",
        )
        self._print(head)
        self._line("event", _compact(shown["message"]))
        if shown["conversion"] is not None:
            self._line(
                "sent as" if event.entry.attempts else "becomes", json.dumps(shown["conversion"], ensure_ascii=False)
            )
        for exchange in _list(shown["exchanges"]):
            self._line("request", f"{exchange['request']}  ({exchange['place']})")
            self._line("answer", f"{exchange['status']} {_words(exchange['answer'])}" if exchange["status"] else "none")
        self._line("unread", in_words(worth_a_look(event.verdict.unread, event.verdict.format)))
        if not event.entry.attempts:
            self._line("why", str(shown["detail"]))
        for advice in _list(shown["advice"]):
            self._line("to do", str(advice))

    def unpublished(self, verdict: Verdict) -> None:
        """Print the place and the reason."""
        self._print(Text.assemble((f"{verdict.file}:{verdict.line}", "dim"), ("  not published", "bold red")))
        self._line("why", verdict.detail)

    def trouble(self, file: str, problem: str) -> None:
        """Print one line."""
        self._print(Text.assemble((file, "dim"), ("  not read to its end  ", "bold red"), problem))

    def summary(self, tally: Tally) -> None:
        """Print a line for each end."""
        self._print("")
        for (verdict, reason), count in sorted(tally.ends.items(), key=lambda item: -item[1]):
            why = f"  {reason.replace('_', ' ')}" if reason else ""
            self._print(
                Text.assemble(f"{count:>7,}  ", (verdict.replace("_", "-"), _STYLES.get(verdict, "yellow")), why)
            )
        if tally.unpublished:
            self._print(Text.assemble(f"{tally.unpublished:>7,}  ", ("not published", "bold red")))

    def _line(self, label: str, text: str) -> None:
        if text:
            cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
            self._print(Text.assemble((f"  {label:<8} ", "dim"), cut))

    def _print(self, shown: Text | str) -> None:
        self._console.print(shown, soft_wrap=True, markup=False)


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


def _words(answer: object) -> str:
    """Return what matters of X's answer in one line: its errors, or how many conversions it counted."""
    try:
        document = json.loads(str(answer))
        if errors := document.get("errors"):
            return "; ".join(f"{error['code']}: {error['message']}" for error in errors)
        return ", ".join(f"{name} {value}" for name, value in document["data"].items())
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return str(answer)


def _compact(text: object) -> str:
    """Return JSON text in one line."""
    try:
        return json.dumps(json.loads(str(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return str(text)
