"""What only a real project can show, after `terraform apply` in one: ten minutes, most of them waiting.

    python3 tools/check_in_a_project.py --project my-project --region europe-west1 --tag tw-o8z6j-test

It reads, but for one event, which goes to the tag that --tag names: make one for tests in Events Manager, or with
`xcapi tags create`. gcloud must be on PATH and logged in. Exits with 0 when all is well, 1 when a check failed, 2 for
wrong usage.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

_MONITORING: Final = "https://monitoring.googleapis.com"
# Google's metrics that the alerts and the dashboard ask for, each with the labels that they use.
METRICS: Final[Mapping[str, frozenset[str]]] = {
    "pubsub.googleapis.com/subscription/dead_letter_message_count": frozenset(),
    "pubsub.googleapis.com/subscription/num_undelivered_messages": frozenset(),
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": frozenset(),
    "pubsub.googleapis.com/subscription/push_request_count": frozenset({"response_class"}),
    "run.googleapis.com/container/instance_count": frozenset({"state"}),
    "run.googleapis.com/container/memory/utilizations": frozenset(),
    "run.googleapis.com/request_count": frozenset({"response_code", "response_code_class"}),
}
_ENDS: Final = "batch.delivered|batch.refused|event.rejected|event.invalid|delivery.deferred|configuration.invalid"
_REFUSALS: Final = frozenset({401, 403, 404})
_TIMEOUT_S: Final = 30


class CannotAskError(Exception):
    """A question could not be put, with a sentence that says why."""


class Project(NamedTuple):
    """Where to look. `monitoring` is the address of Cloud Monitoring's API."""

    project: str
    region: str
    name: str
    tag: str
    monitoring: str
    wait_s: float

    def ask_monitoring(self, path: str, **query: str) -> dict[str, Any]:
        """Return the answer of Cloud Monitoring."""
        # By header, which no list of processes shows.
        headers = {"Authorization": f"Bearer {gcloud('auth', 'print-access-token')}"}
        url = f"{self.monitoring}/{path}?{urllib.parse.urlencode(query)}"
        try:
            request = urllib.request.Request(url, headers=headers)  # noqa: S310 - ours, or a test's
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise CannotAskError(f"HTTP {error.code}: {_said_by(error)}") from None
        except OSError as error:
            raise CannotAskError(str(error)) from None
        return found


def gcloud(*words: str) -> str:
    """Return what a gcloud command prints."""
    try:
        done = subprocess.run(["gcloud", *words], capture_output=True, text=True, check=True, timeout=120)  # noqa: S607
    except FileNotFoundError:
        raise CannotAskError("gcloud is not on PATH: https://cloud.google.com/sdk/docs/install") from None
    except subprocess.TimeoutExpired:
        raise CannotAskError(f"gcloud {words[0]} {words[1]} did not answer") from None
    except subprocess.CalledProcessError as error:
        raise CannotAskError(f"gcloud {words[0]} {words[1]}: {error.stderr.strip()}") from None
    return done.stdout.strip()


def metrics_exist(project: Project) -> Iterator[str]:
    """Yield what is missing of Google's metrics."""
    for metric, labels in METRICS.items():
        found = project.ask_monitoring(f"v3/projects/{project.project}/metricDescriptors/{metric}")
        missing = labels - {label["key"] for label in found.get("labels", [])}
        if missing:
            yield f"{metric} has no label {', '.join(sorted(missing))}"


def queries_are_accepted(project: Project) -> Iterator[str]:
    """Yield the alerts whose queries Cloud Monitoring does not accept."""
    policies: list[dict[str, Any]] = []
    page = ""
    while True:
        found = project.ask_monitoring(f"v3/projects/{project.project}/alertPolicies", pageToken=page)
        policies += found.get("alertPolicies", [])
        page = found.get("nextPageToken", "")
        if not page:
            break
    queries = [
        (policy["displayName"], condition["conditionPrometheusQueryLanguage"]["query"])
        for policy in policies
        for condition in policy["conditions"]
        if policy["displayName"].startswith(project.name) and "conditionPrometheusQueryLanguage" in condition
    ]
    if not queries:
        yield f"no alert's name begins with {project.name}"
    path = f"v1/projects/{project.project}/location/global/prometheus/api/v1/query"
    for title, query in queries:
        try:
            status = project.ask_monitoring(path, query=query).get("status")
        except CannotAskError as error:
            yield f"{title}: {error}"
        else:
            if status != "success":
                yield f"{title}: {status}"


def strangers_are_refused(project: Project) -> Iterator[str]:
    """Yield what the function answers to a request without a token, unless it is a refusal."""
    where = f"--project={project.project}", f"--region={project.region}"
    url = gcloud("functions", "describe", project.name, *where, "--format=value(serviceConfig.uri)")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - gcloud named it
            yield f"{url} answers {answer.status} to anybody"
    except urllib.error.HTTPError as error:
        if error.code not in _REFUSALS:
            yield f"{url} answers {error.code}"
    except OSError as error:
        yield f"{url}: {error}"


def event_reaches_its_end(project: Project) -> Iterator[str]:
    """Publish an event, and yield why it was not delivered."""
    event = {"event_id": project.tag, "email": "you@your-company.example", "conversion_id": f"check-{time.time():.0f}"}
    where = f"--project={project.project}"
    gcloud("pubsub", "topics", "publish", project.name, where, f"--message={json.dumps(event)}")
    query = (
        f'resource.type="cloud_run_revision" resource.labels.service_name="{project.name}" '
        f'jsonPayload.event=~"^({_ENDS})$"'
    )
    give_up_at = time.monotonic() + project.wait_s
    while time.monotonic() < give_up_at:
        lines = gcloud(
            "logging", "read", query, where, "--freshness=5m", "--limit=10", "--format=value(jsonPayload.message)"
        )
        if "batch.delivered" in lines:
            return
        if lines:
            yield f"it was not delivered: {lines.splitlines()[0]}"
            return
        time.sleep(min(10.0, project.wait_s / 10))
    yield (
        f"no line of the function within {project.wait_s:.0f} s: the row about pushes in docs/deploy.md, "
        '"When it does not work"'
    )


_CHECKS: Final[Mapping[str, Callable[[Project], Iterator[str]]]] = {
    "Each of Google's metrics that the alerts ask for exists, with its labels": metrics_exist,
    "Cloud Monitoring accepts each alert's query": queries_are_accepted,
    "Cloud Run refuses whoever is not the push identity": strangers_are_refused,
    "An event is pushed, and X takes it": event_reaches_its_end,
}
_BY_HAND: Final = """
By hand, what this cannot see:
  - `terraform plan -detailed-exitcode`, where the state is, exits with 0: a second plan is empty.
  - Where an instance was ever killed: gcloud logging read 'log_id("run.googleapis.com/varlog/system")' shows the words
    that the metric NAME/instances_killed looks for (terraform/metrics.tf).
  - Events Manager shows the event after 5 to 15 minutes."""


def main(arguments: list[str]) -> int:
    """Run every check, and print a line for each, with what is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--project", required=True, help="the Google Cloud project")
    parser.add_argument("--region", required=True, help="where the function runs")
    parser.add_argument("--tag", required=True, help="an event tag for tests, as tw-o8z6j-test")
    parser.add_argument("--name", default="x-conversions", help="the module's name (%(default)s)")
    parser.add_argument("--wait-s", type=float, default=240, help="for the event's line in the log (%(default)s)")
    given = parser.parse_args(arguments)
    monitoring = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING", _MONITORING).rstrip("/")
    project = Project(given.project, given.region, given.name, given.tag, monitoring, given.wait_s)
    failed = False
    for title, check in _CHECKS.items():
        print(f"{title} …", flush=True)
        try:
            problems = list(check(project))
        except CannotAskError as error:
            problems = [str(error)]
        failed |= bool(problems)
        for problem in problems:
            print(f"  failed  {problem}")
        if not problems:
            print("  ok")
    print(_BY_HAND)
    return 1 if failed else 0


def _said_by(error: urllib.error.HTTPError) -> str:
    """Return Google's words, else the status' own."""
    try:
        found = json.load(error)
        return str(found["error"]["message"] if isinstance(found["error"], dict) else found["error"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
