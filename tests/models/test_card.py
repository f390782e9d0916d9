"""Cards of the models of the small world."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_store.schema import FeatureSchema
from models.card import CARD
from models.plots import bars, curve, rounded_up
from models.registry import Registry


@pytest.fixture(scope="module")
def folder(trained: Registry) -> Path:
    return trained.folder / "sales" / trained.champion("sales")


def test_a_card_says_what_the_model_is_and_was_made_of(
    folder: Path, trained: Registry, schema: FeatureSchema
) -> None:
    text = (folder / CARD).read_text()
    manifest = trained.load("sales", schema).manifest
    assert text.startswith(f"# sales {folder.name}\n")
    assert "click, convert" in text
    assert f"the newest {manifest.data.test_rows:,}" in text
    assert f"| auc | {manifest.metrics.auc:.4f} |" in text
    assert "'sales' has no champion yet" in text
    for cell in manifest.cells:
        assert f"| {cell.action} | {cell.channel} | {cell.rows:,} |" in text


def test_its_plots_are_there_and_are_pictures(folder: Path) -> None:
    plots = re.findall(r"!\[\w+\]\((\w+\.svg)\)", (folder / CARD).read_text())
    assert plots == ["reliability.svg", "roc.svg", "importance.svg"]
    for plot in plots:
        assert ElementTree.parse(folder / plot).getroot().tag.endswith("svg")
    assert ">age</text>" in (folder / "importance.svg").read_text().split("<rect")[1]


def test_names_are_not_markup() -> None:
    ElementTree.fromstring(bars("<a & b>", [("<c>", 1.0), ("none", 0.0)]))
    ElementTree.fromstring(curve("a", "<b>", "&", [(0.0, 0.0), (1.0, 1.0)], dots=True))


@given(st.floats(1e-6, 1e6))
def test_an_axis_ends_at_a_round_number_not_far_beyond(value: float) -> None:
    assert value <= rounded_up(value) * (1 + 1e-9) <= 10 * value
