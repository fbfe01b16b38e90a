"""On what it was measured: as much as makes figures comparable, nothing that names the machine."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tests.benchmarks.processes import cores
from tests.benchmarks.results import Result

__all__ = ["machine", "write_json"]


def machine() -> dict[str, str]:
    """Return processor, cores, system and Python."""
    return {
        "processor": _processor(),
        "cores": str(len(cores()) or os.cpu_count() or 1),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def write_json(path: Path, results: Sequence[Result], described: Mapping[str, str]) -> None:
    """Write all that was found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"machine": described, "results": msgspec.to_builtins(results)}
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
