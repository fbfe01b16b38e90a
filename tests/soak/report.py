"""The end of a soak for people (tables), for scripts (one JSON document) and for the eye (plots)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.soak.account import Account
from tests.soak.mix import RATE_EVENTS, RATE_WINDOW_S, MixReport
from tests.soak.overload import RATE_EVENTS as OVERLOAD_EVENTS
from tests.soak.overload import RATE_WINDOW_S as OVERLOAD_WINDOW_S
from tests.soak.overload import Round
from tests.soak.plot import Chart, Line, svg

__all__ = ["as_json", "overload_as_json", "plot", "plot_overload", "show", "show_overload"]

Rows = Sequence[tuple[str, str]]


def show(report: MixReport, console: Console) -> None:
    """Print the account, how it went, and the verdict."""
    account = report.account
    print_table(console, "The account, in events", _account_rows(account))
    print_table(console, "Delivered or dead-lettered twice, and why", _counted(account.causes) or [("none", "")])
    print_table(console, "How it went", _course_rows(report))
    print_verdict(console, account.problems, "The account balances.")


def print_table(console: Console, title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print two columns, without trailing blanks where nobody watches."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.file.write(line.rstrip() + "\n")
    console.file.flush()


def print_verdict(console: Console, problems: Sequence[str], good: str) -> None:
    """Print what is wrong, or that nothing is."""
    if not problems:
        console.print(Text(good, style="bold green"))
        return
    console.print(Text("Something is wrong:", style="bold red"))
    for problem in problems:
        console.print(Text(f"  {problem}", style="red"), soft_wrap=True)


def as_json(report: MixReport) -> Mapping[str, object]:
    """Return the report as a JSON object."""
    account = report.account
    return {
        "ok": account.balances,
        "problems": list(account.problems),
        "seed": report.seed,
        "through": report.through,
        "seconds": round(report.seconds, 1),
        "messages": account.messages,
        "published": account.published,
        "delivered": account.delivered,
        "dead_lettered": dict(account.dead_lettered),
        "skipped": account.skipped,
        "waiting": account.waiting,
        "lost": account.lost,
        "repetitions": dict(account.causes),
        "repeated_events": [
            {"message": one.event[0], "event_index": one.event[1], "what": one.what, "cause": one.cause}
            for one in account.repetitions
        ],
        "requests_during_a_pause": sum(not one.forgiven for one in account.early),
        "early_requests": [
            {"request_id": one.request_id, "pixel_id": one.pixel_id, "early_s": round(one.early_s, 3)}
            for one in account.early
            if not one.forgiven
        ],
        "requests_of_a_new_instance_during_a_pause": sum(one.forgiven for one in account.early),
        "remainders": {"messages": report.remainders, "events": report.handed_over},
        "budget": {"events": RATE_EVENTS, "window_s": RATE_WINDOW_S},
        "fullest_window": {one.pixel_id: one.of_one_instance for one in account.peaks},
        "fullest_window_over_restarts": {one.pixel_id: one.in_all for one in account.peaks},
        "longest_wait_s": round(max(report.waits_s, default=0.0), 2),
        "median_wait_s": round(_at(report.waits_s, 0.5), 2),
        "most_memory_mb": report.timeline.most_memory_mb,
        "answers": report.answers,
        "x_answers": report.x_answers,
        "timeline": [
            [round(one.at, 2), one.memory_mb, round(one.oldest_wait_s, 2), one.events]
            for one in report.timeline.samples
        ],
        "incidents": [[one.name, round(one.begins, 2), round(one.ends, 2)] for one in report.timeline.bands],
    }


def plot(report: MixReport, folder: Path) -> None:
    """Write soak.json, memory.svg and waits.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(as_json(report), indent=1, ensure_ascii=False)
    (folder / "soak.json").write_text(document + "\n", encoding="utf-8")
    samples, bands = report.timeline.samples, report.timeline.bands
    memory = Line("both processes, PSS", [(one.at, one.memory_mb) for one in samples if one.memory_mb is not None])
    waits = Line("age of the oldest message that is not acked", [(one.at, one.oldest_wait_s) for one in samples])
    for name, title, unit, line in (
        ("memory", "Memory of the function", "MB", memory),
        ("waits", "Longest wait", "s", waits),
    ):
        chart = Chart(title=title, unit=unit, lines=[line], bands=bands)
        (folder / f"{name}.svg").write_text(svg(chart), encoding="utf-8")


def show_overload(rounds: Sequence[Round], console: Console) -> None:
    """Print what each round held against the limits."""
    for one in rounds:
        memory = one.timeline.most_memory_mb
        print_table(
            console,
            f"Overload: {one.title}",
            [
                ("offered, in times of the rate budget", f"{one.offered_times:.0f} ×"),
                (f"events that X takes in {OVERLOAD_WINDOW_S:g} s at most", f"{one.limit_events:,}"),
                ("events it took, window by window", ", ".join(f"{events:,}" for events in one.windows)),
                ("share of the limit that was used", f"{one.share:.0%}"),
                (f"fullest {OVERLOAD_WINDOW_S:g} s at X, of {OVERLOAD_EVENTS:,} configured", f"{one.fullest:,}"),
                ("memory at most, PSS of both processes", "not known here" if memory is None else f"{memory:.0f} MB"),
                ("nack of what did not fit into memory: median, 99 %, longest", _times(one.at_once_s)),
                *((f"deliveries answered {name}", count) for name, count in _counted(one.answers)),
            ],
        )
    print_verdict(console, [problem for one in rounds for problem in one.problems], "Overload is borne.")


def overload_as_json(rounds: Sequence[Round]) -> Sequence[Mapping[str, object]]:
    """Return each round as a JSON object."""
    return [
        {
            "ok": not one.problems,
            "problems": list(one.problems),
            "title": one.title,
            "seconds": round(one.seconds, 1),
            "offered_times_the_budget": round(one.offered_times, 1),
            "limit_events": one.limit_events,
            "events_by_window": list(one.windows),
            "share_of_limit": round(one.share, 3),
            "fullest_window": one.fullest,
            "most_memory_mb": one.timeline.most_memory_mb,
            "memory_nack_s": {"median": _at(one.at_once_s, 0.5), "p99": _at(one.at_once_s, 0.99)},
            "answers": one.answers,
        }
        for one in rounds
    ]


def plot_overload(rounds: Sequence[Round], folder: Path) -> None:
    """Write overload.json, overload-memory.svg and overload-events.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(overload_as_json(rounds), indent=1, ensure_ascii=False)
    (folder / "overload.json").write_text(document + "\n", encoding="utf-8")
    memory = [
        Line(one.title, [(s.at, s.memory_mb) for s in one.timeline.samples if s.memory_mb is not None])
        for one in rounds
    ]
    taken = [Line(one.title, [(s.at, float(s.events)) for s in one.timeline.samples]) for one in rounds]
    for name, title, unit, lines in (
        ("overload-memory", "Memory of the function under overload", "MB", memory),
        ("overload-events", f"Events that X took ({OVERLOAD_EVENTS:,} in 10 s are allowed)", "", taken),
    ):
        (folder / f"{name}.svg").write_text(svg(Chart(title=title, unit=unit, lines=lines)), encoding="utf-8")


def _times(sorted_seconds: Sequence[float]) -> str:
    if not sorted_seconds:
        return "none"
    median, most, longest = (_at(sorted_seconds, share) for share in (0.5, 0.99, 1.0))
    return f"{1000 * median:.0f} ms, {1000 * most:.0f} ms, {1000 * longest:.0f} ms"


def _at(sorted_values: Sequence[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))] if sorted_values else 0.0


def _account_rows(account: Account) -> Rows:
    dead_letters = account.dead_lettered
    return [
        ("published", f"{account.published:,}"),
        ("= delivered", f"{account.delivered:,}"),
        *((f"+ dead-lettered: {reason}", f"{count:,}") for reason, count in sorted(dead_letters.items())),
        ("+ skipped, without consent", f"{account.skipped:,}"),
        ("+ still waiting", f"{account.waiting:,}"),
        ("+ lost", f"{account.lost:,}"),
    ]


def _course_rows(report: MixReport) -> Rows:
    account = report.account
    memory = report.timeline.most_memory_mb
    return [
        ("messages, through", f"{account.messages:,}, {report.through}"),
        ("seconds, instances", f"{report.seconds:.0f}, {report.restarts + 1}"),
        ("remainders, and the events in them", f"{report.remainders:,}, {report.handed_over:,}"),
        (
            "a message's wait: median, longest",
            f"{_at(report.waits_s, 0.5):.1f} s, {max(report.waits_s, default=0):.1f} s",
        ),
        ("memory at most, PSS of both processes", "not known here" if memory is None else f"{memory:.0f} MB"),
        ("requests during a pause", f"{sum(not one.forgiven for one in account.early)}"),
        ("… by an instance born after X had named the time", f"{sum(one.forgiven for one in account.early)}"),
        *(
            (
                f"pixel {one.pixel_id}: events in its fullest {RATE_WINDOW_S:g} s, of {RATE_EVENTS:,}",
                f"{one.of_one_instance:,}"
                + (f" ({one.in_all:,} over a restart)" if one.in_all > one.of_one_instance else ""),
            )
            for one in account.peaks
        ),
        *((f"deliveries answered {name}", count) for name, count in _counted(report.answers)),
        *((f"requests that X answered {name}", count) for name, count in _counted(report.x_answers)),
    ]


def _counted(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in sorted(counts.items())]
