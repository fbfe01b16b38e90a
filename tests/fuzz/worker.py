"""`python -m tests.fuzz.worker`: one target in a process of its own, so that a crash of it ends nothing else."""

import argparse
import importlib
import logging
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Fuzz as told; the report goes into a file, libFuzzer's words to stderr."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--engine", required=True)
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--found", type=Path, required=True)
    told = parser.parse_args()
    logging.disable()  # asyncio's own; what the function logs does not go that way
    if told.engine == "atheris":
        import atheris  # type: ignore[import-untyped]  # noqa: PLC0415 - it is there only where somebody fuzzes

        with atheris.instrument_imports(include=["xcapi_core"]):
            importlib.import_module("tests.fuzz.targets")
    # Not before: what is imported by now has no counters.
    from tests.fuzz import engines, logged, session, targets  # noqa: PLC0415

    with logged.LogTap() as log:
        run = session.Session(targets.TARGETS[told.target](), log, told.report)
        run.watch()
        if told.engine == "atheris":
            engines.run_atheris(run, inputs=told.inputs, seconds=told.seconds, seed=told.seed, found=told.found)
        engines.run_plain(run, inputs=told.inputs, seconds=told.seconds, seed=told.seed)
        run.write_report(done=True)


if __name__ == "__main__":
    main()
