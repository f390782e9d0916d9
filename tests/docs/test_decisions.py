"""The decision records: complete, listed, and with measurements that can be made again."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_says_all_that_a_record_has_to(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    title = re.match(r"# (\d{3}): (.+)\n\nStatus: (accepted|replaced by \d{3})\n", text)
    assert title is not None
    assert title[1] == record.name[:3]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Measured", "Turned down"]
    assert f"| [{title[1]}]({record.name}) | {title[2]} |" in (FOLDER / "README.md").read_text(
        encoding="utf-8"
    )


def test_no_number_is_taken_twice() -> None:
    numbers = [record.name[:3] for record in RECORDS]
    assert len(set(numbers)) == len(numbers)


def test_the_costs_of_reading_customers_can_be_measured_again() -> None:
    script = FOLDER / "measurements" / "vectors.py"
    done = subprocess.run([sys.executable, str(script), "2"], capture_output=True, text=True, check=True)
    figures = [float(line.split()[-1].replace(",", "")) for line in done.stdout.splitlines()]
    assert len(figures) == 9
    assert min(figures) > 0


def test_the_costs_of_reading_a_batch_can_be_measured_again() -> None:
    script = FOLDER / "measurements" / "reading.py"
    done = subprocess.run([sys.executable, str(script), "1"], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 3


def test_the_costs_of_exploring_can_be_measured_again() -> None:
    script = FOLDER / "measurements" / "exploration.py"
    done = subprocess.run([sys.executable, str(script), "1"], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 14
