"""JSON → faults: what `POST /sandbox/faults` takes, refused as a whole with every problem named. Pure."""

from collections.abc import Mapping
from typing import Final

from xcapi_core.problems import Problem
from xcapi_core.sandbox.checks import (
    BOOLEAN,
    COUNT,
    SECONDS,
    SHARE,
    STATUS,
    STRING,
    Fields,
    check_fields,
    is_printable,
    kind_of,
)
from xcapi_core.sandbox.faults import Fault, Refusal

__all__ = ["FAULT_FIELDS", "read_faults"]

_MAX_FAULTS: Final = 100


def _is_header_map(value: object) -> bool:
    return isinstance(value, dict) and all(
        is_printable(text) and name.isascii() and name.replace("-", "").isalnum() for name, text in value.items()
    )


FAULT_FIELDS: Final[Fields] = {
    "status": STATUS,
    "rate": SHARE,
    "times": COUNT,
    "pixel_id": STRING,
    "latency_s": SECONDS,
    "drop": (lambda v: v in (True, False, "before", "after"), 'true, "before" or "after"'),
    "retry_after_s": SECONDS,
    "reset_in_s": SECONDS,
    "code": STRING,
    "message": STRING,
    "parameter": STRING,
    "body": STRING,
    "content_type": (is_printable, "a media type"),
    "headers": (_is_header_map, "an object of header names and ASCII values"),
    "processed": COUNT,
    "redirect": (is_printable, "a URL"),
    "slow_body_s": SECONDS,
    "endless_body": BOOLEAN,
    "refuse": (lambda v: isinstance(v, dict), "an object that says which conversions"),
}
_EFFECTS: Final = frozenset(FAULT_FIELDS) - {
    "rate",
    "times",
    "pixel_id",
    "code",
    "message",
    "parameter",
    "content_type",
}
_REFUSE_FIELDS: Final[Fields] = {
    "field": STRING,
    "equals": (lambda _: True, ""),
    "contains": (lambda v: isinstance(v, str) and v != "", "a string that is not empty"),
    "conversion_id": STRING,
    "all": (lambda v: v is True, "true"),
    "named": BOOLEAN,
    "status": STATUS,
    "code": STRING,
    "message": STRING,
    "parameter": STRING,
}


def read_faults(found: object) -> tuple[list[tuple[Fault, Mapping[str, object]]], list[Problem]]:
    """Read one fault or a list of them; the problems are all of them, and the faults are good only without any."""
    if not isinstance(found, list):
        fault, problems = _read_fault(found, "fault")
        return ([fault] if fault else []), problems
    faults, all_problems = [], []
    if len(found) > _MAX_FAULTS:
        return [], [Problem(path="faults", found=f"{len(found)} faults", expected=f"at most {_MAX_FAULTS}")]
    for index, one in enumerate(found):
        fault, problems = _read_fault(one, f"faults[{index}]")
        all_problems += problems
        if fault:
            faults.append(fault)
    return faults, all_problems


def _read_fault(found: object, path: str) -> tuple[tuple[Fault, Mapping[str, object]] | None, list[Problem]]:
    if not isinstance(found, dict):
        return None, [
            Problem(path=path, found=kind_of(found), expected='an object such as {"status": 503, "times": 1}')
        ]
    described = {name: value for name, value in found.items() if value is not None}
    problems = check_fields(described, FAULT_FIELDS, path)
    if not _EFFECTS.intersection(found):
        problems.append(
            Problem(path=path, found="nothing to do", expected="at least one of " + ", ".join(sorted(_EFFECTS)))
        )
    refuse = described.get("refuse")
    if isinstance(refuse, dict):
        problems += _check_refusal(refuse, f"{path}.refuse")
    if problems:
        return None, problems
    values = dict(described)
    if "drop" in values:
        values["drop"] = {True: "before", False: None}.get(values["drop"], values["drop"])
    if isinstance(refuse, dict):
        values["refuse"] = _refusal(refuse)
    return (Fault(**values), described), []


def _check_refusal(refuse: dict[str, object], path: str) -> list[Problem]:
    problems = check_fields(refuse, _REFUSE_FIELDS, path)
    ways = ("conversion_id" in refuse) + ("field" in refuse) + ("all" in refuse)
    if ways != 1:
        expected = 'one of {"conversion_id": …}, {"field": …, "equals": …} and {"all": true}'
        problems.append(Problem(path=path, found=f"{ways} ways to choose conversions", expected=expected))
    if "field" in refuse and ("equals" in refuse) == ("contains" in refuse):
        found = '"equals" and "contains"' if "equals" in refuse else "neither"
        problems.append(Problem(path=path, found=found, expected='"field" with either "equals" or "contains"'))
    return problems


def _refusal(refuse: dict[str, object]) -> Refusal:
    values: dict[str, object] = {k: v for k, v in refuse.items() if k not in {"all", "conversion_id"}}
    if "conversion_id" in refuse:
        values |= {"field": "conversion_id", "equals": refuse["conversion_id"]}
    return Refusal(**values)  # type: ignore[arg-type]  # each was checked against _REFUSE_FIELDS
