"""docs/scaling.md counts with the module's and the function's own numbers."""

import re

from xcapi_core.deliveries.admission import MAX_HELD_BYTES, MOST_OPEN
from xcapi_core.ledger import CAPACITY, RETENTION_S
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.settings import BatchSettings, RateSettings

ROOT = repository_root()
PAGE = " ".join((ROOT / "docs" / "scaling.md").read_text(encoding="utf-8").split())


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_limits_of_an_instance_are_the_functions() -> None:
    assert f"{MOST_OPEN:,} events, {MAX_HELD_BYTES >> 20} MiB of messages" in PAGE
    assert f"| conversions remembered | {CAPACITY:,}, or {RETENTION_S // 3600} hours |" in PAGE
    assert f"`batch.max_in_flight` ({BatchSettings().max_in_flight})" in PAGE
    assert f"{RateSettings().events:,} events in {RateSettings().window_s / 60:g} minutes" in PAGE


def test_defaults_of_the_module_are_the_modules() -> None:
    variables = read("terraform/variables.tf")
    assert re.search(r"concurrency += optional\(number, 500\)", variables)
    assert "`function.concurrency` (500)" in PAGE
    assert re.search(r"max_backoff_s += optional\(number, 600\)", variables)
    assert "`delivery.max_backoff_s` at the latest, 600 s by default" in PAGE
    assert "rate.events / var.function.max_instances" in read("terraform/configuration.tf")


def test_a_module_makes_as_many_log_based_metrics_as_the_page_counts() -> None:
    metrics = read("terraform/metrics.tf")
    reasons = re.search(r"dead_letter_reasons = \[(.*)\]", metrics)
    assert reasons
    count = len(re.findall(r"(?m)^      \w+ = \{$", metrics)) + len(reasons[1].split(",")) + 1
    assert f"{500 // count} modules a project: each makes {count}" in PAGE
