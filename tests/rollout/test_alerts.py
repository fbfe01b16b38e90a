"""Each alert fires in the incident that it names and in no other: its PromQL over series of such incidents."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.conftest import Tool
from tests.rollout.google_metrics import GOOGLE_METRICS
from tests.rollout.workspace import MODULE, run_terraform
from xcapi_core.sandbox.services.checkout import repository_root

DAY, END = 1440, 1620  # minutes: an incident begins after a day, and is looked at for three hours
PUSHES = 'pubsub_googleapis_com:subscription_push_request_count{monitored_resource="pubsub_subscription"'
AGE = 'pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource="pubsub_subscription"'
GIVEN_UP = 'pubsub_googleapis_com:subscription_dead_letter_message_count{monitored_resource="pubsub_subscription"'
REQUESTS = 'run_googleapis_com:request_count{monitored_resource="cloud_run_revision",service_name="x-conversions"'
Piece = tuple[int, float]  # for so many minutes, a counter's rate a minute or a gauge's value


def pushes(response_class: str) -> str:
    return f'{PUSHES},subscription_id="x-conversions",response_class="{response_class}"}}'


def requests(code: int) -> str:
    return f'{REQUESTS},response_code="{code}",response_code_class="{code // 100}xx"}}'


def age(subscription: str) -> str:
    return f'{AGE},subscription_id="{subscription}"}}'


def logged(metric: str, labels: str = "") -> str:
    name = f"logging_googleapis_com:user_x_conversions_{metric}"
    return f'{name}{{monitored_resource="cloud_run_revision",service_name="x-conversions"{labels}}}'


@dataclass(frozen=True, slots=True)
class Incident:
    """Counters and gauges that differ from a good day, in pieces, and the alerts that must fire meanwhile.

    `over` is the minute at which all is well again; half an hour later no alert may be left.
    """

    fires: frozenset[str] = frozenset()
    counters: Mapping[str, Sequence[Piece]] = field(default_factory=dict)
    gauges: Mapping[str, Sequence[Piece]] = field(default_factory=dict)
    over: int = END


ACK, FAILED, REFUSED, UNREACHABLE = (
    pushes(one) for one in ("ack", "remote_server_5xx", "remote_server_4xx", "unreachable")
)
ANSWERED, NACKED, BROKEN = (requests(code) for code in (204, 503, 500))
DELIVERED = logged("delivered_sum")
WAITING = age("x-conversions")


def outage(minutes: int, cause: str, *fires: str, lag: int = 3, log_lag: int = 0) -> Incident:
    """Nacks on purpose; what Pub/Sub and Cloud Run count shows `lag` minutes later, the log `log_lag`."""
    after = END - DAY - minutes
    return Incident(
        frozenset(fires),
        {
            ACK: [(DAY + lag, 10), (minutes, 0), (after, 10)],
            FAILED: [(DAY + lag, 0), (minutes, 10), (after, 0)],
            ANSWERED: [(DAY + lag, 10), (minutes, 0), (after, 10)],
            NACKED: [(DAY + lag, 0), (minutes, 10), (after, 0)],
            DELIVERED: [(DAY + log_lag, 10), (minutes, 0), (after, 10)],
            logged("deferred", f',cause="{cause}"'): [(DAY + log_lag, 0), (minutes, 10), (after, 0)],
        },
        {WAITING: [(DAY + lag, 5), *[(1, 60.0 * minute) for minute in range(minutes)], (after, 5)]},
        over=DAY + minutes,
    )


def from_now_on(counter: str, rate: float = 1, *fires: str, **others: float) -> Incident:
    counters = {counter: [(DAY, 0), (END - DAY, rate)]} | {
        logged(name): [(DAY, 0), (END - DAY, one)] for name, one in others.items()
    }
    return Incident(frozenset(fires), counters)


def cut_off(kind: str, *, minutes: int = 50, retries: Sequence[Piece] = ()) -> Incident:
    """Pushes that the function never sees; `retries` is how they come, ten a minute unless it says otherwise."""
    after = END - DAY - minutes
    silent = [(DAY, 10.0), (minutes, 0.0), (after, 10.0)]
    tried = [(DAY, 0.0), *(retries or [(minutes, 10.0)]), (after, 0.0)]
    counters = {ACK: silent, kind: tried, ANSWERED: silent, DELIVERED: silent}
    return Incident(frozenset({"push_errors"}), counters, over=DAY + minutes)


INCIDENTS: dict[str, Incident] = {
    "a good day": Incident(),
    "X is down for 50 minutes": outage(50, "x_unavailable"),
    "X is down, and Pub/Sub's counts come at once": outage(50, "x_unavailable", lag=0),
    "X is down, and Pub/Sub's counts come late": outage(50, "x_unavailable", lag=5),
    "X is down, and the log's counts come late": outage(50, "x_unavailable", lag=0, log_lag=2),
    "X is down for five minutes": outage(5, "x_unavailable"),
    "X is down for two hours": outage(120, "x_unavailable", "oldest_event"),
    "a wait of 40 minutes for the rate budget": outage(40, "rate_budget_spent"),
    "pushes are refused: a grant is gone": cut_off(REFUSED),
    "a grant is gone, and one event is tried every ten minutes": cut_off(REFUSED, retries=[(1, 1), (9, 0)] * 5),
    "pushes do not arrive": cut_off(UNREACHABLE),
    "pushes do not arrive for five minutes, as in a deploy": Incident(
        counters=cut_off(UNREACHABLE, minutes=5).counters, over=DAY + 5
    ),
    "X refuses the keys": from_now_on(
        logged("unauthorized_sum"), 10, "keys_refused", dead_letters_published_sum=10, delivered_sum=0
    ),
    "X refuses the keys, and events wait": outage(50, "unauthorized", "keys_refused"),
    "no key can be read, and events wait": outage(50, "credentials_unavailable", "keys_refused"),
    "X refuses everything": Incident(
        frozenset({"dead_letters", "refuses_everything"}),  # the first twenty are dead letters
        {
            logged("refuses_everything", ',pixel_id="o8z6j"'): [(DAY, 0), (50, 1), (END - DAY - 50, 0)],
            logged("rejected_sum"): [(DAY, 0), (2, 10), (END - DAY - 2, 0)],
            **outage(50, "refuses_everything").counters,
        },
        over=DAY + 50,
    ),
    "instances run out of memory, with all that they hold": Incident(
        frozenset({"crashes"}),
        {
            logged("instances_killed"): [(DAY, 0), (END - DAY, 0.2)],
            FAILED: [(DAY, 0), (END - DAY, 4)],
            ACK: [(DAY, 10), (END - DAY, 6)],
        },
    ),
    "a bug that ends as 503": from_now_on(logged("crashes", ',event="batcher.crashed"'), 1, "crashes"),
    "a bug that ends as 500": Incident(
        frozenset({"crashes"}),
        {
            BROKEN: [(DAY, 0), (END - DAY, 4)],
            FAILED: [(DAY, 0), (END - DAY, 4)],
            ACK: [(DAY, 10), (END - DAY, 6)],
        },
    ),
    "a dry run is left on": Incident(
        frozenset({"dry_run"}),
        {logged("dry_run"): [(DAY - 60, 0), (END - DAY + 60, 10)], DELIVERED: [(DAY - 60, 10), (END - DAY + 60, 0)]},
    ),
    "a dry run of 20 minutes": Incident(counters={logged("dry_run"): [(DAY, 0), (20, 10), (END - DAY - 20, 0)]}),
    "nothing arrives": Incident(
        frozenset({"silence"}),
        {one: [(END - 780, 10), (780, 0)] for one in (ACK, ANSWERED, DELIVERED)},
    ),
    "a quiet night of eight hours": Incident(
        counters={one: [(DAY - 480, 10), (480, 0), (END - DAY, 10)] for one in (ACK, ANSWERED, DELIVERED)}
    ),
    "everything is skipped": Incident(
        frozenset({"nothing_delivered"}),
        {logged("skipped"): [(END - 780, 0), (780, 10)], DELIVERED: [(END - 780, 10), (780, 0)]},
    ),
    "a configuration that stops the start": from_now_on(
        logged("configuration_invalid"), 1, "configuration_invalid", instances_killed=1
    ),
    "consent that nobody can read": from_now_on(logged("unreadable_consent_sum"), 1, "unreadable_consent"),
    "a publisher's bad events": from_now_on(
        logged("invalid_event_sum"), 1, "dead_letters", dead_letters_published_sum=1
    ),
    "Pub/Sub gives events up": from_now_on(
        f'{GIVEN_UP},subscription_id="x-conversions-remainder",response_code="success"}}', 1, "dead_letters"
    ),
    "nobody looks at dead letters": Incident(
        frozenset({"dead_letters_waiting"}), gauges={age("x-conversions-dead-letter"): [(END, 90_000)]}
    ),
    "events wait for six of seven days": Incident(
        frozenset({"oldest_event", "retention"}), gauges={WAITING: [(DAY, 5), (END - DAY, 518_400)]}
    ),
    "remainders go round, and Pub/Sub's age begins anew each time": from_now_on(
        logged("old_events"), 1, "oldest_event"
    ),
    "remainders go round until retention ends": from_now_on(
        logged("near_retention"), 1, "oldest_event", "retention", old_events=1
    ),
}


# Siblings of those above: lower rates, other causes, and what looks like an incident and is none.
INCIDENTS |= {
    "a dry run is left on in a shop with an event every five hours": Incident(
        frozenset({"dry_run"}),
        {
            logged("dry_run"): [(DAY - 301, 0), *[(1, 1), (299, 0)] * 2, (END - DAY - 299, 1)],
            DELIVERED: [(DAY - 301, 0.01), (END - DAY + 301, 0)],
        },
    ),
    "two dry runs of 20 minutes, and deliveries between": Incident(
        counters={
            logged("dry_run"): [(DAY - 240, 0), (20, 10), (220, 0), (20, 10), (END - DAY - 20, 0)],
            DELIVERED: [(DAY - 240, 10), (20, 0), (220, 10), (20, 0), (END - DAY - 20, 10)],
        }
    ),
    "a start stops once at its configuration": Incident(
        frozenset({"configuration_invalid"}),
        {
            one: [(DAY, 0), (1, 1), (END - DAY - 1, 0)]
            for one in map(logged, ("configuration_invalid", "instances_killed"))
        },
        over=DAY + 1,
    ),
    "memory runs out once": Incident(
        frozenset({"crashes"}),
        {
            logged("instances_killed"): [(DAY, 0), (1, 1), (END - DAY - 1, 0)],
            FAILED: [(DAY, 0), (3, 10), (END - DAY - 3, 0)],
            ACK: [(DAY, 10), (3, 0), (END - DAY - 3, 10)],
        },
        over=DAY + 3,
    ),
    "the function hangs, and Cloud Run answers 504": Incident(
        frozenset({"crashes"}),
        {
            requests(504): [(DAY, 0), (END - DAY, 10)],
            pushes("deadline_exceeded"): [(DAY, 0), (END - DAY, 10)],
            **{one: [(DAY, 10), (END - DAY, 0)] for one in (ACK, ANSWERED, DELIVERED)},
        },
    ),
    "all instances are full: Cloud Run answers 429, and the function does not know": cut_off(REFUSED),
    "too much is open: the function answers 429": Incident(
        counters={
            logged("deferred", ',cause="memory_full"'): [(DAY, 0), (50, 5), (END - DAY - 50, 0)],
            requests(429): [(DAY, 0), (50, 5), (END - DAY - 50, 0)],
            REFUSED: [(DAY, 0), (50, 5), (END - DAY - 50, 0)],
            ACK: [(DAY, 10), (50, 5), (END - DAY - 50, 10)],
        },
        over=DAY + 50,
    ),
    "X is slow for 40 minutes": outage(40, "no_time_left"),
    "the dead-letter topic refuses for 40 minutes": outage(40, "dead_letters_unavailable"),
    "a deploy every half an hour, of a minute each": Incident(
        counters={
            UNREACHABLE: [(DAY, 0), *[(1, 10), (29, 0)] * ((END - DAY) // 30)],
            ACK: [(DAY, 10), *[(1, 0), (29, 10)] * ((END - DAY) // 30)],
        }
    ),
    "a backlog drains for an hour after X is back": Incident(
        frozenset({"oldest_event"}),
        {logged("old_events"): [(DAY + 60, 0), (60, 10), (END - DAY - 120, 0)]},
        {WAITING: [(DAY, 5), *[(1, 60.0 * minute) for minute in range(120)], (END - DAY - 120, 5)]},
        over=DAY + 120,
    ),
    "pushing is stopped by hand for two hours": Incident(
        frozenset({"oldest_event"}),
        {one: [(DAY, 10), (120, 0), (END - DAY - 120, 10)] for one in (ACK, ANSWERED, DELIVERED)},
        {WAITING: [(DAY, 5), *[(1, 60.0 * minute) for minute in range(120)], (END - DAY - 120, 5)]},
        over=DAY + 120,
    ),
    "a hundred times as many events": Incident(
        counters={one: [(DAY, 10), (END - DAY, 1000)] for one in (ACK, ANSWERED, DELIVERED)}
    ),
    "nearly everything is skipped": Incident(
        counters={logged("skipped"): [(END - 780, 0), (780, 10)], DELIVERED: [(END - 780, 10), (780, 0.1)]}
    ),
    "a consent that nobody can read, now and then": from_now_on(logged("unreadable_consent_sum"), 0.1),
    "the module's first day": Incident(
        counters={one: [(DAY, 0), (END - DAY, 10)] for one in (ACK, ANSWERED, DELIVERED)}
    ),
}


def queries_of_the_module(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Plan what the module makes of its defaults, by itself: queries need no provider."""
    for name in ("variables.tf", "phone_regions.tf", "configuration.tf", "alerts.tf", "dashboard.tf", "metrics.tf"):
        text = (MODULE / name).read_text(encoding="utf-8")
        (folder / name).write_text(re.sub(r"(?ms)^(resource|moved|removed) .*?^\}\n", "", text))
    (folder / "outputs.tf").write_text(
        f"locals {{ repository = {json.dumps(str(repository_root()))} }}\n"
        'output "alerts" { value = { for key, one in local.alerts : key => [one.query, one.duration] } }\n'
        'output "numbers" { value = local.numbers[*][1] }\n'
        'output "charts" { value = flatten([for chart in local.charts : values(chart.plots)]) }\n'
    )
    variables = {"project_id": "my-project", "region": "europe-west1", "pixels": {"o8z6j": {}}}
    (folder / "terraform.tfvars.json").write_text(json.dumps(variables))
    run_terraform(folder, "init", "-input=false", environment=environment)
    run_terraform(folder, "plan", "-input=false", "-no-color", "-out=plan", environment=environment)
    shown = json.loads(run_terraform(folder, "show", "-json", "plan", environment=environment))
    return {name: one["value"] for name, one in shown["planned_values"]["outputs"].items()}


@pytest.fixture(name="planned", scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, terraform_environment: Mapping[str, str]) -> dict[str, Any]:
    return queries_of_the_module(tmp_path_factory.mktemp("alerts"), terraform_environment)


@pytest.fixture(name="alerts", scope="module")
def queries_and_durations(planned: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {key: (query, duration) for key, (query, duration) in planned["alerts"].items()}


@pytest.fixture(name="dashboard", scope="module")
def queries_of_charts(planned: Mapping[str, Any]) -> list[str]:
    return [query.replace("${__interval}", "5m") for query in (*planned["numbers"], *planned["charts"])]


def counted(pieces: Sequence[Piece]) -> list[float]:
    """Write a counter out, a value a minute."""
    total, values = 0.0, []
    for minutes, rate in pieces:
        for _ in range(minutes):
            values.append(total)
            total += rate
    return values


def measured(pieces: Sequence[Piece]) -> list[float]:
    return [value for minutes, value in pieces for _ in range(minutes)]


def recorded(incident: Incident) -> dict[str, list[float]]:
    """Return every series that there is to see in an incident."""
    ordinary = {ACK: 10.0, ANSWERED: 10.0, DELIVERED: 10.0, FAILED: 0.0, NACKED: 0.0}
    counters = {name: [(END, rate)] for name, rate in ordinary.items()} | dict(incident.counters)
    gauges = {WAITING: [(END, 5.0)], age("x-conversions-dead-letter"): [(END, 0.0)]} | dict(incident.gauges)
    series = {name: counted(pieces) for name, pieces in counters.items()}
    return series | {name: measured(pieces) for name, pieces in gauges.items()}


def firing(minutes: Sequence[int], duration: str) -> list[int]:
    """Return when an alert fires whose query has an answer at these minutes: once it had one for its duration."""
    wait, since, found = int(duration.removesuffix("s")) // 60, -1, []
    for before, minute in zip([-1, *minutes], minutes, strict=False):
        since = minute if minute != before + 1 else since
        if minute - since >= wait:
            found.append(minute)
    return found


def run_promql(tool: Tool, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, list[int]]]:
    """Return, for each task, at which minutes each query has an answer; fails where one is no PromQL."""
    lines = "\n".join(json.dumps(task) for task in tasks)
    done = subprocess.run([tool("promql")], input=lines, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(name="fired", scope="module")
def evaluated(alerts: Mapping[str, Any], tool: Tool) -> dict[str, dict[str, list[int]]]:
    """Say for every incident when each alert fires, as Prometheus's own engine evaluates the queries."""
    queries = {key: query for key, (query, _) in alerts.items()}
    tasks = [
        {"queries": queries, "series": recorded(incident), "from": DAY - 60, "to": END - 1}
        for incident in INCIDENTS.values()
    ]
    answers = run_promql(tool, tasks)
    return {
        name: {key: firing(minutes, alerts[key][1]) for key, minutes in answer.items()}
        for name, answer in zip(INCIDENTS, answers, strict=True)
    }


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_alert_fires_in_the_incident_that_it_names_and_in_no_other(
    name: str, fired: Mapping[str, Mapping[str, Sequence[int]]]
) -> None:
    incident = INCIDENTS[name]
    assert {key: minutes for key, minutes in fired[name].items() if minutes and key not in incident.fires} == {}
    assert {key for key, minutes in fired[name].items() if minutes} == incident.fires
    late = {key: minutes[-1] - incident.over for key, minutes in fired[name].items() if minutes}
    assert {key: minutes for key, minutes in late.items() if minutes > 30} == {}


def test_every_alert_has_its_incident(alerts: Mapping[str, Any]) -> None:
    assert set(alerts) == {key for incident in INCIDENTS.values() for key in incident.fires}


def test_every_chart_has_something_to_show(dashboard: Sequence[str], tool: Tool) -> None:
    """Each query, over series of the names and labels that it asks for."""
    tasks = []
    for query in dashboard:
        selectors = re.findall(r"(\w+:\w+)\{([^}]*)\}", query)
        labels = [(name, re.sub(r'=~"([^"|]*)[^"]*"', r'="\1"', given)) for name, given in selectors]
        grouped = "".join(f',{one}="one"' for one in re.findall(r"by \((\w+)\)", query) if one != "le")
        buckets = [',le="1"', ',le="+Inf"'] if "histogram_quantile" in query else [""]
        names = [f"{name}{{{given}{grouped}{bucket}}}" for name, given in labels for bucket in buckets]
        values = [float(minute) for minute in range(60)]
        tasks.append({"queries": {query: query}, "series": dict.fromkeys(names, values), "from": 30, "to": 50})
    answers = [answer for one in run_promql(tool, tasks) for answer in one.items()]
    assert {query: minutes for query, minutes in answers if minutes != [*range(30, 51)]} == {}


def test_queries_name_metrics_labels_and_values_of_googles(
    alerts: Mapping[str, tuple[str, str]], dashboard: Sequence[str]
) -> None:
    """Monitoring answers a misspelt one with silence."""
    text = " ".join([*(query for query, _ in alerts.values()), *dashboard])
    google = r"((?:pubsub|run)_googleapis_com:\w+)"
    used = re.findall(rf"\b{google}\{{([^}}]*)\}}", text)
    assert {name for name, _ in used} == set(GOOGLE_METRICS), "none unknown, none listed in vain"
    for name, labels in used:
        for label, value in re.findall(r'(\w+)(?:=~|!=|=)"([^"]*)"', labels):
            allowed = GOOGLE_METRICS[name].labels[label]
            assert not allowed or set(value.split("|")) <= allowed, f"{name}: {label}={value}"
    for label, name in re.findall(rf"by \((\w+)\) \((?:increase|rate)\({google}", text):
        assert label in GOOGLE_METRICS[name].labels, f"{name}: {label}"
    for name in re.findall(rf"(?:increase|rate)\({google}", text):
        assert GOOGLE_METRICS[name].kind == "DELTA", f"{name} is no counter"
