"""`python -m xcapi_core`: the `xcapi` command without its script."""

from xcapi_core.cli.__main__ import main

if __name__ == "__main__":
    main()
