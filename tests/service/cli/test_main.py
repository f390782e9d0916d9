"""The start of the command line."""

import subprocess
import sys

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
from service.cli.main import main
main()
"""


def test_ctrl_c_while_the_program_is_still_being_loaded_ends_it_without_a_trace() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IMPORTING], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
