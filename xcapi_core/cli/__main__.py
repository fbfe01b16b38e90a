"""The `xcapi` command's way in: says what is missing where the command line's extra is not installed."""

import sys

from xcapi_core.cli.standard_output import ending_with_the_output
from xcapi_core.cli.stop import INTERRUPTED

__all__ = ["main"]


def main() -> None:
    """Run the `xcapi` command; exits with 0 all well, 1 something is wrong, 2 wrong usage."""
    try:
        from xcapi_core.cli.group import xcapi  # noqa: PLC0415  a missing extra shall be a sentence, not a traceback
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("xcapi needs its command-line extra: pip install '.[cli,sandbox]', in a checkout")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    with ending_with_the_output():
        xcapi(prog_name="xcapi")


if __name__ == "__main__":
    main()
