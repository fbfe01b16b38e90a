"""Each alert fires in the incident that it names and in no other: its PromQL over series of such incidents."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.conftest import prepared
from tests.rollout.google_metrics import GOOGLE_METRICS
from tests.rollout.workspace import MODULE, run_terraform
from xcapi_core.sandbox.services.checkout import repository_root

DAY, END = 1440, 1560  # minutes: an incident begins after a day, and is looked at for two hours
PUSHES = 'pubsub_googleapis_com:subscription_push_request_count{monitored_resource="pubsub_subscription"'
AGE = 'pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource="pubsub_subscription"'
Piece = tuple[int, float]  # for so many minutes, a counter's rate a minute or a gauge's value


def pushes(response_class: str) -> str:
    return f'{PUSHES},subscription_id="x-conversions",response_class="{response_class}"}}'


def age(subscription: str) -> str:
    return f'{AGE},subscription_id="{subscription}"}}'


def logged(metric: str, labels: str = "") -> str:
    name = f"logging_googleapis_com:user_x_conversions_{metric}"
    return f'{name}{{monitored_resource="cloud_run_revision",service_name="x-conversions"{labels}}}'


@dataclass(frozen=True, slots=True)
class Incident:
    """Counters and gauges that differ from a good day, in pieces, and the alerts that must fire meanwhile."""

    fires: frozenset[str] = frozenset()
    counters: Mapping[str, Sequence[Piece]] = field(default_factory=dict)
    gauges: Mapping[str, Sequence[Piece]] = field(default_factory=dict)


ACK, FAILED, REFUSED = pushes("ack"), pushes("remote_server_5xx"), pushes("remote_server_4xx")
DELIVERED = logged("delivered_sum")
WAITING = age("x-conversions")


def outage(minutes: int, cause: str, *fires: str) -> Incident:
    """Nacks on purpose; what Pub/Sub counts lags four minutes behind the log."""
    after = END - DAY - minutes
    return Incident(
        frozenset(fires),
        {
            ACK: [(DAY, 10), (minutes + 4, 0), (after, 10)],
            FAILED: [(DAY + 4, 0), (minutes, 10), (after, 0)],
            DELIVERED: [(DAY, 10), (minutes, 0), (after, 10)],
            logged("deferred", f',cause="{cause}"'): [(DAY, 0), (minutes, 10), (after, 0)],
        },
        {WAITING: [(DAY + 4, 5), *[(1, 60.0 * minute) for minute in range(minutes)], (after, 5)]},
    )


def from_now_on(counter: str, rate: float = 1, *fires: str, **others: float) -> Incident:
    counters = {counter: [(DAY, 0), (END - DAY, rate)]} | {
        logged(name): [(DAY, 0), (END - DAY, one)] for name, one in others.items()
    }
    return Incident(frozenset(fires), counters)


INCIDENTS: Mapping[str, Incident] = {
    "a good day": Incident(),
    "X is down for 50 minutes": outage(50, "x_unavailable"),
    "X is down for two hours": outage(120, "x_unavailable", "oldest_event"),
    "a wait of 40 minutes for the rate budget": outage(40, "rate_budget_spent"),
    "pushes are refused: a grant is gone": Incident(
        frozenset({"push_errors"}),
        {
            ACK: [(DAY, 10), (50, 0), (70, 10)],
            REFUSED: [(DAY, 0), (50, 10), (70, 0)],
            DELIVERED: [(DAY, 10), (50, 0), (70, 10)],
        },
    ),
    "X refuses the keys": from_now_on(
        logged("unauthorized_sum"), 10, "keys_refused", dead_letters_published_sum=10, delivered_sum=0
    ),
    "X refuses the keys, and events wait": outage(50, "unauthorized", "keys_refused"),
    "X refuses everything": Incident(
        frozenset({"dead_letters", "refuses_everything"}),  # the first twenty are dead letters
        {
            logged("refuses_everything", ',pixel_id="o8z6j"'): [(DAY, 0), (50, 1), (70, 0)],
            logged("rejected_sum"): [(DAY, 0), (2, 10), (118, 0)],
            **outage(50, "refuses_everything").counters,
        },
    ),
    "instances run out of memory": from_now_on(logged("instances_killed"), 0.2, "crashes"),
    "a bug that ends as 503": from_now_on(logged("crashes", ',event="batcher.crashed"'), 1, "crashes"),
    "a dry run is left on": Incident(
        frozenset({"dry_run"}), {logged("dry_run"): [(DAY - 60, 0), (180, 10)], DELIVERED: [(DAY - 60, 10), (180, 0)]}
    ),
    "a dry run of 20 minutes": Incident(counters={logged("dry_run"): [(DAY, 0), (20, 10), (100, 0)]}),
    "nothing arrives": Incident(
        frozenset({"silence"}), {ACK: [(END - 780, 10), (780, 0)], DELIVERED: [(END - 780, 10), (780, 0)]}
    ),
    "everything is skipped": Incident(
        frozenset({"nothing_delivered"}),
        {logged("skipped"): [(END - 780, 0), (780, 10)], DELIVERED: [(END - 780, 10), (780, 0)]},
    ),
    "a configuration that stops the start": from_now_on(logged("configuration_invalid"), 1, "configuration_invalid"),
    "consent that nobody can read": from_now_on(logged("unreadable_consent_sum"), 1, "unreadable_consent"),
    "a publisher's bad events": from_now_on(
        logged("invalid_event_sum"), 1, "dead_letters", dead_letters_published_sum=1
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
}


def alerts_of_the_module(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Plan what the module makes of its defaults, by itself: conditions need no provider."""
    for name in ("variables.tf", "phone_regions.tf", "configuration.tf", "alerts.tf", "metrics.tf"):
        text = (MODULE / name).read_text(encoding="utf-8")
        (folder / name).write_text(re.sub(r"(?ms)^(resource|moved|removed) .*?^\}\n", "", text))
    (folder / "outputs.tf").write_text(
        f"locals {{ repository = {json.dumps(str(repository_root()))} }}\n"
        'output "alerts" { value = { for key, one in local.alerts : key => [one.query, one.duration] } }\n'
    )
    variables = {"project_id": "my-project", "region": "europe-west1", "pixels": {"o8z6j": {}}}
    (folder / "terraform.tfvars.json").write_text(json.dumps(variables))
    run_terraform(folder, "init", "-input=false", environment=environment)
    run_terraform(folder, "plan", "-input=false", "-no-color", "-out=plan", environment=environment)
    shown = json.loads(run_terraform(folder, "show", "-json", "plan", environment=environment))
    found: dict[str, Any] = shown["planned_values"]["outputs"]["alerts"]["value"]
    return found


@pytest.fixture(name="alerts", scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, terraform_environment: Mapping[str, str]) -> dict[str, Any]:
    return alerts_of_the_module(tmp_path_factory.mktemp("alerts"), terraform_environment)


def counted(pieces: Sequence[Piece]) -> str:
    """Write a counter in promtool's notation: `start+rate x steps`, one piece after the other."""
    total, parts = 0.0, []
    for minutes, rate in pieces:
        if minutes <= 0:
            continue
        parts.append(f"{total:g}+{rate:g}x{minutes - 1}")
        total += rate * minutes
    return " ".join(parts)


def measured(pieces: Sequence[Piece]) -> str:
    return " ".join(f"{value:g}+0x{minutes - 1}" for minutes, value in pieces if minutes > 0)


def unit_test(incident: Incident, alerts: Mapping[str, Any]) -> dict[str, Any]:
    """Say for promtool what there is to see and, every five minutes, which of the other alerts must be silent."""
    counters = {ACK: [(END, 10.0)], FAILED: [(END, 0.0)], DELIVERED: [(END, 10.0)], **incident.counters}
    gauges = {WAITING: [(END, 5.0)], age("x-conversions-dead-letter"): [(END, 0.0)], **incident.gauges}
    series = {name: counted(pieces) for name, pieces in counters.items()}
    series |= {name: measured(pieces) for name, pieces in gauges.items()}
    silent = [
        {"eval_time": f"{minute}m", "alertname": key, "exp_alerts": []}
        for key in alerts
        if key not in incident.fires
        for minute in range(DAY - 60, END, 5)
    ]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": silent,
    }


def rules(alerts: Mapping[str, Any]) -> dict[str, Any]:
    found = [
        {"alert": key, "expr": f"count({query}) > 0", "for": duration} for key, (query, duration) in alerts.items()
    ]
    return {"groups": [{"name": "alerts", "interval": "5m", "rules": found}]}


def run_promtool(folder: Path, alerts: Mapping[str, Any], tests: Sequence[Mapping[str, Any]]) -> str:
    """Run the tests, and return what promtool complains of."""
    promtool = shutil.which("promtool", path=prepared("providers")["PATH"])
    if promtool is None:
        pytest.skip("promtool is built by `python tools/rollout_tools.py --only promtool`, in a few minutes, once")
    (folder / "rules.json").write_text(json.dumps(rules(alerts)))
    document = {"rule_files": ["rules.json"], "evaluation_interval": "5m", "tests": tests}
    (folder / "tests.json").write_text(json.dumps(document))
    command = [promtool, "test", "rules", "tests.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_alert_fires_in_the_incident_that_it_names_and_in_no_other(
    name: str, alerts: Mapping[str, Any], tmp_path: Path
) -> None:
    incident = INCIDENTS[name]
    test = unit_test(incident, alerts)
    assert run_promtool(tmp_path, alerts, [test]) == ""
    for key in incident.fires:
        # That it is silent for two hours must be wrong.
        silent = [{"eval_time": f"{one}m", "alertname": key, "exp_alerts": []} for one in range(DAY, END, 5)]
        assert "FAILED" in run_promtool(tmp_path, alerts, [{**test, "alert_rule_test": silent}]), key


def test_every_alert_has_its_incident(alerts: Mapping[str, Any]) -> None:
    assert set(alerts) == {key for incident in INCIDENTS.values() for key in incident.fires}


def test_queries_name_metrics_and_labels_of_google_or_of_ours(alerts: Mapping[str, Any]) -> None:
    """Monitoring answers a misspelt name with silence."""
    dashboard = (MODULE / "dashboard.tf").read_text(encoding="utf-8")
    names = set(re.findall(r"\b((?:pubsub|run)_googleapis_com:\w+)\{", json.dumps(alerts) + dashboard))
    assert names
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in names if name not in GOOGLE_METRICS} <= set(
        GOOGLE_METRICS
    )
    for query, _ in alerts.values():
        for name, labels in re.findall(r"((?:pubsub|run)_googleapis_com:\w+)\{([^}]*)\}", query):
            used = set(re.findall(r"(\w+)(?:=~|!=|=)", labels)) - {"monitored_resource"}
            assert used <= GOOGLE_METRICS[name], f"{name}: {used}"
