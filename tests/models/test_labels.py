"""Labels against a plain reference: a loop over the same decisions and outcomes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_store.logbook.folder import LogFolder
from feature_store.logbook.rows import decision_rows, offer_rows, outcome_rows
from feature_store.logbook.tables import DECISIONS, OFFERS, OUTCOMES
from feature_store.outcomes import Outcome
from models.label_rules import LabelRules
from models.labels import CLOCK_SKEW, FINAL, PROVISIONAL, Labels, labels
from tests.feature_store.logbook.conftest import NOON, SCHEMA, entry, outcome

WINDOW = 3600.0
RULES = LabelRules(
    families={"response": ["click", "convert"], "sale": ["convert"]},
    actions={"join_club": "response"},
    windows={"join_club": WINDOW},
    impressions=["web"],
)
FOREVER = NOON + 1e6


def write(folder: Path, *, decisions: list[Any] | None = None, outcomes: list[Outcome] | None = None) -> None:
    """Put decisions (entries) and outcomes, each taken in a second after it happened, into a log."""
    log = LogFolder(folder)
    log.prepare()
    for decided in decisions or []:
        log.keep_schema(SCHEMA.fingerprint, SCHEMA.packed)
        log.add(DECISIONS, decision_rows([decided], SCHEMA), "1-0", lambda: False)
        log.add(OFFERS, offer_rows([decided]), "1-0", lambda: False)
    for happened in outcomes or []:
        log.add(OUTCOMES, outcome_rows([(happened, happened.occurred_at + 1)]), "1-0", lambda: False)


def read(folder: Path, rules: LabelRules = RULES, as_of: float = FOREVER) -> tuple[dict[str, Any], Labels]:
    """The rows by decision, and what was found."""
    with labels(folder, rules, as_of) as found:
        return {row["decision_id"]: row for row in found.rows.read_all().to_pylist()}, found


def test_a_row_has_the_offer_its_labels_and_the_features_of_the_decision(tmp_path: Path) -> None:
    write(
        tmp_path,
        decisions=[entry(["d1", "d2"])],
        outcomes=[
            outcome("d1", "impression"),
            outcome("d2", "impression"),
            outcome("d1", "convert", value=95.0),
        ],
    )
    rows, found = read(tmp_path)
    assert rows["d1"]["labels"] == {"response": True, "sale": True}
    assert (rows["d1"]["responded"], rows["d1"]["response_value"], rows["d1"]["state"]) == (True, 95.0, FINAL)
    assert rows["d2"]["labels"] == {"response": False, "sale": False}
    assert (rows["d2"]["responded"], rows["d2"]["response_value"], rows["d2"]["state"]) == (False, 0.0, FINAL)
    assert rows["d1"]["features"]["age"] == 34.5
    assert rows["d1"]["features"]["genres"] == ["crime"]
    assert rows["d1"]["features"]["member_until"].timestamp() == NOON + 86_400
    assert rows["d1"]["selection_probability"] == 0.9
    assert (found.findings.offers, found.findings.outcomes) == (2, 3)


def test_a_response_without_a_value_is_worth_what_the_offer_was(tmp_path: Path) -> None:
    write(tmp_path, decisions=[entry(["d1"])], outcomes=[outcome("d1", "impression"), outcome("d1")])
    assert read(tmp_path)[0]["d1"]["response_value"] == 25.0


def test_only_what_was_shown_counts_where_impressions_are_reported(tmp_path: Path) -> None:
    write(tmp_path, decisions=[entry(["d1", "d2"])], outcomes=[outcome("d1", "impression"), outcome("d2")])
    assert set(read(tmp_path)[0]) == {"d1"}
    silent = LabelRules(RULES.families, RULES.actions, RULES.windows)
    rows, found = read(tmp_path, silent)
    assert set(rows) == {"d1", "d2"}
    assert found.findings.undeclared_impressions == ("web",)


def test_an_offer_is_provisional_until_its_window_is_over_and_a_late_response_corrects_it(
    tmp_path: Path,
) -> None:
    silent = LabelRules(RULES.families, RULES.actions, RULES.windows)
    write(tmp_path, decisions=[entry(["d1"])], outcomes=[outcome("d1", occurred_at=NOON + WINDOW - 60)])
    before = read(tmp_path, silent, NOON + 100)[0]["d1"]
    assert (before["responded"], before["state"]) == (False, PROVISIONAL)
    after = read(tmp_path, silent, NOON + WINDOW)[0]["d1"]
    assert (after["responded"], after["state"]) == (True, FINAL)
    assert after["window_ends_at"].timestamp() == NOON + WINDOW


def test_outcomes_outside_of_the_window_are_counted_and_not_used(tmp_path: Path) -> None:
    silent = LabelRules(RULES.families, RULES.actions, RULES.windows)
    write(
        tmp_path,
        decisions=[entry(["d1", "d2", "d3"])],
        outcomes=[
            outcome("d1", occurred_at=NOON + WINDOW),
            outcome("d2", occurred_at=NOON - CLOCK_SKEW - 1),
            outcome("d3", occurred_at=NOON - CLOCK_SKEW),
            outcome("stranger"),
        ],
    )
    rows, found = read(tmp_path, silent)
    assert [rows[name]["responded"] for name in ("d1", "d2", "d3")] == [False, False, True]
    findings = found.findings
    assert (findings.after_window, findings.before_decision, findings.without_offer) == (1, 1, 1)


def test_what_is_there_twice_counts_once(tmp_path: Path) -> None:
    twice = outcome("d1", "convert", value=10.0)
    shown = outcome("d1", "impression")
    write(tmp_path, decisions=[entry(["d1"]), entry(["d1"])], outcomes=[shown, twice, twice])
    with labels(tmp_path, RULES, FOREVER) as found:
        (row,) = found.rows.read_all().to_pylist()
    assert row["response_value"] == 10.0
    assert (found.findings.offers_twice, found.findings.outcomes_twice) == (1, 1)


def test_an_action_without_a_family_has_labels_and_no_response_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, decisions=[entry(["d1"])], outcomes=[outcome("d1")])
    row = read(tmp_path, LabelRules({"response": ["click"]}, {}))[0]["d1"]
    assert (row["labels"], row["responded"], row["response_value"]) == ({"response": True}, None, 0.0)


def test_an_empty_log_has_no_labels(tmp_path: Path) -> None:
    write(tmp_path)
    rows, found = read(tmp_path)
    assert rows == {}
    assert found.findings.offers == 0


def test_who_has_no_families_is_told_so() -> None:
    with pytest.raises(ValueError, match="nothing to label"):
        LabelRules({}, {})


HAPPENED = st.tuples(
    st.sampled_from(["d0", "d1", "d2", "d9"]),
    st.sampled_from(["impression", "click", "convert", "reject"]),
    st.sampled_from([-3600.0, -300.0, -200.0, 0.0, 10.0, 3599.0, 3600.0, 90_000.0]),
    st.sampled_from([None, 5.0, 7.0]),
    st.integers(0, 1),
)


@settings(max_examples=25)
@given(
    happened=st.lists(HAPPENED, max_size=14),
    starts=st.lists(st.sampled_from([0.0, 1800.0, 86_400.0]), min_size=3, max_size=3),
    as_of=st.sampled_from([0.0, 11.0, 3600.5, 5400.0, 100_000.0, 1e6]),
    reports=st.booleans(),
)
def test_labels_are_those_of_a_loop_over_everything(
    tmp_path_factory: pytest.TempPathFactory,
    happened: list[tuple[str, str, float, float | None, int]],
    starts: list[float],
    as_of: float,
    reports: bool,
) -> None:
    decided = {f"d{row}": NOON + start for row, start in enumerate(starts)}
    outcomes = [
        outcome(id_, name, decided.get(id_, NOON) + after, number, value=value)
        for id_, name, after, value, number in happened
    ]
    folder = tmp_path_factory.mktemp("log")
    write(folder, decisions=[entry([id_], at) for id_, at in decided.items()], outcomes=outcomes)
    rules = LabelRules(RULES.families, RULES.actions, RULES.windows, ["web"] if reports else [])
    expected = reference(decided, outcomes, NOON + as_of, reports)
    rows, _ = read(folder, rules, NOON + as_of)
    assert {
        id_: (row["labels"], row["response_value"], row["state"]) for id_, row in rows.items()
    } == expected


def reference(
    decided: dict[str, float], outcomes: list[Outcome], as_of: float, reports: bool
) -> dict[str, tuple[dict[str, bool], float, str]]:
    """By decision the labels, the value and the state."""
    first: dict[bytes, Outcome] = {}
    for one in sorted(outcomes, key=lambda one: one.occurred_at):
        if one.occurred_at + 1 < as_of:
            first.setdefault(one.outcome_id, one)
    found = {}
    for id_, at in decided.items():
        mine = [
            one
            for one in first.values()
            if one.decision_id == id_ and at - CLOCK_SKEW <= one.occurred_at < at + WINDOW
        ]
        names = {one.outcome for one in mine}
        if at >= as_of or (reports and "impression" not in names):
            continue
        response, sale = bool(names & {"click", "convert"}), "convert" in names
        reported = [
            one.value for one in mine if one.outcome in {"click", "convert"} and one.value is not None
        ]
        value = (sum(reported) if reported else 25.0) if response else 0.0
        state = FINAL if at + WINDOW <= as_of else PROVISIONAL
        found[id_] = ({"response": response, "sale": sale}, value, state)
    return found


def test_offers_whose_decisions_are_lost_are_told(tmp_path: Path) -> None:
    write(tmp_path, decisions=[entry(["d1"]), entry(["d2", "d3"], NOON + 3600)])
    next(tmp_path.glob("decisions/*/hour=13/*.parquet")).unlink()
    found = read(tmp_path, LabelRules(RULES.families, RULES.actions, RULES.windows))[1]
    assert found.findings.without_decision == 2
    assert "2 offers are of decisions that are not in the log: their features are missing" in (
        found.findings.remarks
    )
