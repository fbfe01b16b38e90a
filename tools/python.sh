#!/bin/sh
# Runs a Python script with the first interpreter here that is new enough: tools/python.sh SCRIPT [ARGUMENT…]
# PYTHON=… names one. Each candidate is tried out, since a pyenv shim stands on PATH even where it refuses to run.
set -u

# One a line, so that a path may hold spaces. 3.13 to 3.11 are tested; what only says "python3" may be newer or older.
candidates=${PYTHON:-${XCAPI_VENV:-.venv}/bin/python
python3.13
python3.12
python3.11
python3
python
python3.14}

too_old=
IFS='
'
for candidate in $candidates; do
    # -I: another project's PYTHONPATH or PYTHONHOME must not decide this.
    found=$("$candidate" -I -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
    if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$candidate" -I "$@"
    fi
    too_old="${too_old:+$too_old, }$found ($candidate)"
done

remedy='install it (https://www.python.org/downloads/) or name one with PYTHON=/path/to/python3.12.'
if [ -n "$too_old" ]; then
    echo "Python 3.11 or newer is needed, and here is only $too_old: $remedy" >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "PYTHON=$PYTHON does not run: it should be the path of a Python 3.11 or newer." >&2
else
    echo "Python 3.11 or newer is needed, and here is none: $remedy" >&2
fi
exit 1
