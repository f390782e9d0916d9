"""The start of the command line."""

import subprocess
import sys

from typer.testing import CliRunner

from service.cli.main import app

INTERRUPTED_WHILE_IMPORTING = """
import os, signal, sys

class LastWords:
    def __del__(self):  # what it raises, nobody gets
        os.kill(os.getpid(), signal.SIGINT)

class Interruption:
    def find_spec(self, name, path=None, target=None):
        if name == "service.cli.serve":
            LastWords()

sys.meta_path.insert(0, Interruption())
sys.argv = ["arbiter", "serve", "nowhere"]
from service.cli.main import main
main()
"""


def test_ctrl_c_while_the_program_is_still_being_loaded_ends_it_without_a_trace() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IMPORTING], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_command_loads_no_other() -> None:
    asking = "import sys; sys.argv = ['arbiter', 'world', '--help']; import service.cli.main as m\n"
    asking += "try: m.main()\nexcept SystemExit: print('service.cli.serve' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, check=True)
    assert "Usage: arbiter world" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


def test_serving_loads_neither_what_reads_tables_nor_what_trains() -> None:
    heavy = {"pyarrow", "duckdb", "lightgbm", "sklearn", "scipy.stats", "scipy.optimize"}
    code = f"import sys, service.cli.serve; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_command_that_there_is_not_is_told_with_the_one_that_may_be_meant() -> None:
    result = CliRunner().invoke(app, ["serv"])
    assert result.exit_code == 2
    assert "Did you mean 'serve'" in result.output
