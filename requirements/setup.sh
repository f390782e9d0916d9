#!/bin/sh
# Makes .venv/ ready: `sh requirements/setup.sh run` to serve, `... dev` to test and check as well.
# It finds a Python of 3.11 or later (or takes the one that $PYTHON names) and hands over to install.py.
set -eu
cd "${0%/*}/.."

new_enough() { # NAME MODULES: a Python of 3.11 or later that can import these
    "$1" -c "import $2; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1
}

find_python() {
    # The versions that are tested come first; a Python that can't make a virtual environment comes last.
    for needed in "sys, ensurepip, venv" sys; do
        for name in python3.13 python3.12 python3.11 python3.14 python3 python; do
            if new_enough "$name" "$needed"; then
                command -v "$name"
                return
            fi
        done
    done
}

if [ -n "${PYTHON:-}" ]; then
    python=$PYTHON
    new_enough "$python" sys || {
        echo "PYTHON=$python is not a Python of 3.11 or later. Name another one, or none to have one found." >&2
        exit 1
    }
elif [ -x .venv/bin/python ]; then
    python=.venv/bin/python
else
    python=$(find_python)
    [ -n "$python" ] || {
        echo "Arbiter needs Python 3.11 or later, and none was found on the PATH (python3.11, python3.12, ..., python3)." >&2
        echo "Install one, or say where it is: make run PYTHON=/path/to/python3.11" >&2
        exit 1
    }
fi
exec "$python" -I requirements/install.py "$1"
