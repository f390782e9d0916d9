"""Trials: parts of the line of customers, and the file that says who has them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ModelError, ModelRefused
from models.trials import LINE, MOST_CHALLENGERS, TRIALS, Trials, changing, read_trials, write_trials

NOW = datetime(2026, 1, 31, tzinfo=UTC)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.one_of(st.none(), st.integers(0, LINE))), max_size=12
)

OVERLAPPING = """{"trials": [
    {"model": "m", "version": "a", "since": "2026-01-31T00:00:00Z", "parts": [[0, 10], [5, 20]]}]}"""


def places(trials: Trials, version: str) -> set[int]:
    trial = trials.of("sales").get(version)
    return {place for start, end in trial.parts for place in range(start, end)} if trial else set()


@given(CHANGES)
def test_shares_are_exact_never_overlap_and_move_nobody_else(changes: list[tuple[str, int | None]]) -> None:
    trials = Trials()
    for version, share in changes:
        before = {name: places(trials, name) for name in "abcd"}
        taken = set().union(*(found for name, found in before.items() if name != version))
        if share is None:
            trials = trials.without("sales", version)
        elif share > LINE - len(taken):
            with pytest.raises(ModelRefused, match="other challengers leave only"):
                trials.with_("sales", version, share, NOW)
            continue
        else:
            trials = trials.with_("sales", version, share, NOW)
        after = {name: places(trials, name) for name in "abcd"}
        assert len(after[version]) == (share or 0)
        assert after[version] <= before[version] or after[version] >= before[version]
        assert all(after[name] == before[name] for name in "abcd" if name != version)
        assert sum(map(len, after.values())) == len(set().union(*after.values()))
        assert Trials.model_validate_json(trials.model_dump_json()) == trials


def test_there_is_room_for_some_challengers_and_for_any_number_of_shadows() -> None:
    trials = Trials()
    for number in range(MOST_CHALLENGERS):
        trials = trials.with_("sales", f"v{number}", 1, NOW)
    with pytest.raises(ModelRefused, match=f"there are {MOST_CHALLENGERS} challengers already"):
        trials.with_("sales", "one more", 1, NOW)
    assert trials.with_("sales", "one more", 0, NOW).of("sales")["one more"].share == 0.0
    assert trials.with_("sales", "v3", 5, NOW).of("sales")["v3"].places == 5


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nothing", "Invalid JSON"),
        ('{"trials": [{"model": "sales"}]}', "trials.0.version: Field required"),
        (OVERLAPPING, "parts of challengers overlap"),
    ],
)
def test_a_damaged_file_is_told_by_its_name(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / TRIALS).write_text(content)
    with pytest.raises(ModelError, match=complaint) as refused:
        read_trials(tmp_path)
    assert str(tmp_path / TRIALS) in str(refused.value)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_trials(tmp_path) == Trials()
    with changing(tmp_path) as trials:
        write_trials(tmp_path, trials.with_("sales", "a", 1000, NOW))
    assert read_trials(tmp_path).of("sales")["a"].parts == ((0, 1000),)
