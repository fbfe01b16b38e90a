"""What a process and its children hold in memory: the sum of their PSS, shared pages counted once."""

from pathlib import Path

__all__ = ["pss_mb"]

_PROC = Path("/proc")


def pss_mb(pid: int) -> float | None:
    """Return the megabytes of `pid` and its descendants; None where there is no /proc, or the process is gone."""
    total_kb = 0
    try:
        for one in _family(pid):
            for line in (_PROC / str(one) / "smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Pss:"):
                    total_kb += int(line.split()[1])
    except (OSError, ValueError):
        return None
    return total_kb / 1024


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in (_PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            found += _family(int(child))
    return found
