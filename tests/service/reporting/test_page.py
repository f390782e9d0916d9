"""The page: it stands alone, escapes what it is given, and has a sentence where there is no number."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from service.reporting.elements import between, element, html, number, percent
from service.reporting.page import page
from service.reporting.report import report
from service.workspace.loading import Workspace, load_workspace

from .conftest import DAY, NOON, Log, answers_of, offer

VOID = {"meta", "rect", "line", "path", "circle", "polyline", "polygon"}
YES = {"impression": 1.0, "click": 2.0, "accept": 60.0}
OBJECTIVES = """\
objectives:
  sold: {metric: accepts, target: 500, start: 2026-01-01, end: 2026-01-30, description: <b>Books</b> & more}
  liked: {metric: acceptance_rate, target: 0.2, start: 2026-01-01, end: 2026-01-30}
"""


class Checker(HTMLParser):
    """Whether every element that begins ends, and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def written(shop: Workspace, log: Log, until: float = NOON + 100 * DAY) -> str:
    with answers_of(shop, log, until=until) as answers:
        text = page(report(answers, shop, ["2 outcomes came twice"]))
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(target.startswith("#") for target in checker.loads)
    assert not re.search(
        r"\b(nan|inf|None|Outlook)\b", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    )
    return text


def with_objectives(shop: Workspace) -> Workspace:
    (shop.folder / "objectives.yaml").write_text(OBJECTIVES, encoding="utf-8")
    return load_workspace(shop.folder)


def test_a_full_log_is_a_page_with_every_section(shop: Workspace, log: Log) -> None:
    for number_ in range(1_500):
        arm = {"holdout": "control"} if number_ % 10 == 0 else {}
        yes = number_ % (7 if arm else 4) == 0
        log.decide(
            f"d{number_}",
            f"c{number_}",
            offer(outcomes=YES if yes else None, propensity=0.2 + 0.3 * yes),
            at=NOON + number_ % 12 * DAY,
            experiments=arm,
        )
    log.decide("e", "eve", empty="no_consent")
    text = written(with_objectives(shop), log, NOON + 13 * DAY)
    for title in (
        "Objectives",
        "Funnel",
        "Experiments",
        "Value against control",
        "Models",
        "Actions that say",
    ):
        assert f"<h2>{title}" in text
    assert "&lt;b&gt;Books&lt;/b&gt; &amp; more" in text
    assert "holdout.control" in text
    assert "fewer accept" in text
    assert "no_consent" in text
    assert "2 outcomes came twice" in text
    assert text.count("<svg") == 5  # an objective, two plots of days, lifts, and a model's calibration
    assert "sales / books / poems" in text


def test_an_empty_log_says_so(shop: Workspace, log: Log) -> None:
    text = written(with_objectives(shop), log)
    assert "Nothing was decided in this time" in text
    assert "Nothing that counts was seen so far" in text


def test_without_outcomes_experiments_or_objectives_there_are_sentences(shop: Workspace, log: Log) -> None:
    (shop.folder / "experiments.yaml").unlink()
    log.decide("d", "ada", offer(outcomes={}))
    text = written(load_workspace(shop.folder), log)
    assert "No objective is declared: write objectives.yaml" in text
    assert "No experiment has an arm to be compared" in text
    assert "No experiment withholds anything" in text
    assert "Too little was shown to draw calibration" in text


def test_an_experiment_with_one_lonely_arm_is_too_few_to_tell(shop: Workspace, log: Log) -> None:
    log.decide("d", "ada", offer(outcomes=YES), experiments={"impact": "random"})
    text = written(shop, log)
    assert "No arm has 5 customers yet who accepted something" in text
    assert "too few to tell" in text


def test_a_workspace_without_models_is_reported(shop: Workspace, log: Log) -> None:
    (shop.folder / "models.yaml").write_text("models: {}\n", encoding="utf-8")
    actions = shop.folder / "actions" / "sales.yaml"
    actions.write_text(actions.read_text().replace("model: response", "propensity: 0.1"), encoding="utf-8")
    log.decide("d", "ada", offer(outcomes=YES))
    text = written(load_workspace(shop.folder), log)
    assert "No action has a model." in text


def test_names_are_escaped_in_pictures_too(shop: Workspace, log: Log) -> None:
    log.decide("d", "ada", offer("<script>", issue="a&b"))
    text = written(shop, log)
    assert "<script" not in text
    assert "a&amp;b / books / &lt;script&gt;" in text


def test_the_style_loads_nothing() -> None:
    style = (Path(page.__code__.co_filename).parent / "page.css").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "-"), (0.0, "0"), (1234.0, "1,234"), (12.345, "12.35"), (0.01234, "0.0123"), (-5.0, "-5")],
)
def test_numbers_have_as_many_digits_as_tell_something(value: float | None, said: str) -> None:
    assert number(value) == said


def test_shares_are_percents() -> None:
    assert [percent(share) for share in (0.0123, 0.123, 1.23, None)] == ["1.23 %", "12.3 %", "123 %", "-"]
    assert between(None) == "-"
    assert html("5 %") == "5&nbsp;%"
    assert element("a", "<", class_="x", title=None) == '<a class="x">&lt;</a>'
