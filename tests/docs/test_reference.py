"""The reference pages say what the code says."""

import ast
import re
from pathlib import Path

import pytest

from service.cli import reference
from service.observability.metrics import REGISTRY
from service.runtime import bringing, decider, due, reservations
from service.runtime.outbound.rows import COLUMNS


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_reference_page_is_what_the_code_would_write_today(root: Path, name: str) -> None:
    written = (root / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == reference.PAGES[name](), f"docs/reference/{name} is stale: run {reference.COMMAND}"


def test_the_folder_holds_the_generated_pages_and_nothing_else(root: Path) -> None:
    assert {path.name for path in (root / "docs" / "reference").iterdir()} == set(reference.PAGES)


def test_the_pages_can_be_written_anywhere(tmp_path: Path) -> None:
    reference.write_pages(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(reference.PAGES)


def test_every_metric_that_can_be_scraped_is_listed() -> None:
    scraped = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()
    }
    assert scraped == set(re.findall(r"^\| `(\w+)`", reference.metrics_table(), re.MULTILINE))


def test_every_type_of_problem_that_the_code_answers_is_listed(root: Path) -> None:
    answered = {
        (call.args[0].value, call.args[1].value)
        for path in (root / "service" / "api").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Problem"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[1], ast.Constant)
    }
    by_routing = {(404, "not-found"), (405, "method-not-allowed")}
    assert answered | by_routing == {(status, kind) for status, kind, _ in reference.PROBLEMS}


def test_every_reason_for_a_degraded_decision_is_listed() -> None:
    values = [value for module in (bringing, decider, due, reservations) for value in vars(module).values()]
    codes = {value for value in values if isinstance(value, str) and ":" in value}
    assert {code for code in codes if re.fullmatch(r"[a-z]+:[a-z]+", code)} == set(reference.DEGRADED)


def test_every_column_of_an_outbound_run_is_told(root: Path) -> None:
    text = (root / "docs" / "outbound.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(COLUMNS)
