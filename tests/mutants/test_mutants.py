"""The list of equivalent mutants: argued, and about code that is there."""

import json
from pathlib import Path

import pytest

from tests.cached_tools import ROOT
from tests.mutants.__main__ import MODULES, file_of
from tests.mutants.trying import End, verdict

ROWS = [json.loads(line) for line in (Path(__file__).parent / "equivalent.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['module']}: {row['after']}")
def test_equivalent_mutant_is_of_a_line_that_is_there_and_argued(row: dict[str, str]) -> None:
    source = file_of(row["module"]).read_text("utf-8")
    assert row["before"] in {line.strip() for line in source.splitlines()}
    assert row["before"] != row["after"]
    assert len(row["why"]) > 20


def test_every_module_and_its_tests_are_there() -> None:
    for module, tests in MODULES.items():
        assert file_of(module).is_file()
        assert all((ROOT / test).is_file() for test in tests)


def test_only_a_mutant_whose_tests_pass_has_survived() -> None:
    """Exit statuses as `os.wait` gives them: the code in the high byte, a signal in the low one."""
    assert verdict(0) is End.SURVIVED
    assert verdict(1 << 8) is End.KILLED
    assert verdict(2 << 8) is End.KILLED
    assert verdict(90 << 8) is End.STILLBORN
    assert verdict(9) is End.KILLED
