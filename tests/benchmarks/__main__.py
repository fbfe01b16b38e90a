"""`python -m tests.benchmarks [NAME…]`: run all benchmarks, or those named, and print a table of each."""

import platform
import sys
import time
from collections.abc import Callable

from tests.benchmarks.group_commit import measure_group_commit
from tests.benchmarks.measuring import Table
from tests.benchmarks.posting import measure_posting
from tests.benchmarks.reading import measure_reading
from tests.benchmarks.remembering import measure_ledger
from tests.benchmarks.searching import measure_searching
from tests.benchmarks.splitting import measure_splitting

BENCHMARKS: dict[str, Callable[[], Table]] = {
    "reading": measure_reading,
    "splitting": measure_splitting,
    "group-commit": measure_group_commit,
    "ledger": measure_ledger,
    "posting": measure_posting,
    "searching": measure_searching,
}


def main(names: list[str]) -> int:
    """Print the tables; 2 for a name that is no benchmark's."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}.\n")
        return 2
    started = time.monotonic()
    sys.stdout.write(f"Python {platform.python_version()}; ratios hold across machines, figures do not.\n\n")
    for name in names or BENCHMARKS:
        sys.stdout.write(f"{BENCHMARKS[name]()}\n\n")
        sys.stdout.flush()
    sys.stdout.write(f"{time.monotonic() - started:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
