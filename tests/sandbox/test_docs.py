"""docs/sandbox.md, held true."""

import json
import re
from pathlib import Path

import pytest

from xcapi_core.sandbox.config import KeyRing, SandboxConfig
from xcapi_core.sandbox.config_reader import CONFIG_FIELDS, read_config
from xcapi_core.sandbox.fault_reader import FAULT_FIELDS, read_faults
from xcapi_core.sandbox.key_reader import read_keys

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
FAULTS = re.findall(r"sandbox/faults -d '(.+)'$", PAGE, re.MULTILINE)
KEYS = re.findall(r"sandbox/keys -d '(.+)'$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("described", FAULTS)
def test_each_fault_shown_is_one_that_the_sandbox_takes(described: str) -> None:
    faults, problems = read_faults(json.loads(described))
    assert faults
    assert not problems


def test_examples_were_found() -> None:
    assert len(FAULTS) >= 4
    assert KEYS


@pytest.mark.parametrize("described", KEYS)
def test_keys_shown_are_taken(described: str) -> None:
    assert not read_keys(json.loads(described), KeyRing())[1]


def test_table_of_fault_fields_is_complete() -> None:
    table = PAGE.partition("| field | what it does |")[2].partition("\n\n")[0]
    documented = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.partition("|")[2].partition("|")[0])
    }
    assert documented == set(FAULT_FIELDS)


def test_configuration_shown_is_taken_and_names_every_setting_with_its_default() -> None:
    (block,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    document = json.loads(block)
    config, problems = read_config(document)
    assert not problems
    assert set(document) == set(CONFIG_FIELDS)
    changed = {"pixels", "keys", "public_url", "random_seed"}
    default = SandboxConfig()
    assert {n: v for n, v in document.items() if n not in changed} == {
        name: getattr(default, name) for name in document if name not in changed
    }
    assert config.pixels[0] == default.pixels[0]
