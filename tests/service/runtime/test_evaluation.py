"""What a draft would have been worth, against a world whose truth is known."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from feature_store.logbook.folder import LogFolder
from feature_store.schema import Source
from models import training
from models.evaluation.value import evaluate
from models.workshop import train_workspace
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot
from service.runtime.evaluation import choices
from service.runtime.logged import LoggedOffers, LogUnfit, Reward, read_logged
from service.runtime.population import Audience
from service.workspace.loading import Workspace, load_workspace
from service.world.synthetic import write_world
from service.world.truth import load_truth

EXPLORING = "exploration: {method: softmax, temperature: 1.0}\n"
MIDDLE = datetime(2025, 11, 16, tzinfo=UTC)
"""Of the history."""
SINGLE = ("home_hero", "cart_banner", "newsletter")
"""The placements of one rank."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "world"
    write_world(folder, actions=4, customers=800, features=8, models=2, decisions=8_000, seed=3)
    workspace = load_workspace(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "MAX_TREES", 20)
        train_workspace(
            workspace.specs, workspace.schema, workspace.action_models, _early(folder), workspace.registry
        )
    return folder


def _early(folder: Path) -> Path:
    """The history up to `MIDDLE`: a draft must not be judged by the luck that it has learnt from."""
    early = folder.with_name("early")
    shutil.copytree(folder, early)
    decisions = pq.read_table(folder / "decisions.parquet", filters=[("decided_at", "<", MIDDLE)])
    pq.write_table(decisions, early / "decisions.parquet")
    return early


@pytest.fixture(scope="module")
def workspace(world: Path) -> Workspace:
    return load_workspace(world)


@pytest.fixture(scope="module")
def snapshot(workspace: Workspace) -> Snapshot:
    return workspace.snapshot()


def _reward(workspace: Workspace) -> Reward:
    return Reward(workspace.label_rules, responses=True)


@pytest.fixture(scope="module")
def logged(world: Path, workspace: Workspace) -> LoggedOffers:
    return read_logged(world, workspace.schema, _reward(workspace), since=MIDDLE.timestamp())


def _of(logged: LoggedOffers, kept: np.ndarray) -> LoggedOffers:
    return replace(
        logged,
        **{
            name: getattr(logged, name)[kept]
            for name in ("decision", "placement", "rank", "action", "probability", "reward")
        },
    )


def _chosen(snapshot: Snapshot, logged: LoggedOffers) -> list[str]:
    """What the draft itself offers instead of each logged offer of a placement of one rank."""
    found = []
    catalogue = snapshot.catalogue
    for offer, decision in enumerate(logged.decision):
        channel = logged.channel[decision]
        slot = next(
            slot
            for slot in catalogue.channel_slots[channel]
            if catalogue.slots[slot].placement.id == logged.placement[offer]
        )
        asked = Audience(snapshot, channel, logged.X[decision], logged.now[decision], {slot: 1})
        slate = decide(snapshot, asked.batch(logged.X[[decision]])).slate
        found.append(catalogue.actions[int(slate.action[0])].name)
    return found


def test_the_value_of_a_draft_is_that_of_the_truth(
    world: Path, snapshot: Snapshot, logged: LoggedOffers
) -> None:
    single = _of(logged, np.isin(logged.placement, SINGLE))
    truth = load_truth(world).probability(single.X[single.decision], None, _chosen(snapshot, single))
    found = evaluate(choices(snapshot, single))
    for name in ("ips", "snips", "dr", "switch_dr"):
        assert found.values[name].low < truth.mean() < found.values[name].high, name
    assert found.gains["dr"].low > 0  # it has learnt something, and the log is by lot
    assert not found.warnings


def test_a_draft_that_chooses_by_lot_as_the_log_did_is_worth_what_was_logged(
    world: Path, logged: LoggedOffers, tmp_path: Path
) -> None:
    shutil.copytree(world, tmp_path / "draft")
    with (tmp_path / "draft" / "policies.yaml").open("a") as file:
        file.write("exploration: {method: epsilon, epsilon: 1.0}\n")
    seen = choices(load_workspace(tmp_path / "draft").snapshot(), logged)
    np.testing.assert_allclose(seen.weights, 1.0)
    np.testing.assert_allclose(seen.covered, 1.0)
    found = evaluate(seen)
    assert found.values["ips"].value == pytest.approx(found.logged.value)
    assert found.effective == pytest.approx(len(logged.action))


def test_weights_are_those_of_all_turns_of_an_answer(
    world: Path, logged: LoggedOffers, tmp_path: Path
) -> None:
    shutil.copytree(world, tmp_path / "draft")
    with (tmp_path / "draft" / "policies.yaml").open("a") as file:
        file.write(EXPLORING)
    seen = choices(load_workspace(tmp_path / "draft").snapshot(), logged)
    assert seen.weights.min() > 0
    assert np.mean(seen.weights) == pytest.approx(np.mean(seen.reach * seen.covered), rel=0.05)
    second = np.flatnonzero(logged.rank == 2)
    np.testing.assert_array_equal(seen.reach[second], seen.weights[second - 1])
    assert (seen.reach[logged.rank == 1] == 1.0).all()
    np.testing.assert_array_equal(seen.clusters, logged.customer[logged.decision])


def test_what_the_draft_does_not_have_is_worth_nothing_to_it(
    world: Path, logged: LoggedOffers, tmp_path: Path
) -> None:
    shutil.copytree(world, tmp_path / "draft")
    for file in (tmp_path / "draft" / "actions").glob("*.yaml"):
        file.write_text(file.read_text().replace("action_4", "action_5"))
    draft = load_workspace(tmp_path / "draft").snapshot()
    seen = choices(draft, logged)
    gone = logged.action == "action_4"
    assert gone.any()
    assert (seen.weights[gone] == 0).all()
    after = np.flatnonzero(gone[:-1] & (logged.decision[1:] == logged.decision[:-1])) + 1
    assert (seen.weights[after] == 0).all()
    assert np.mean(seen.weights) == pytest.approx(np.mean(seen.reach * seen.covered), rel=0.1)


def test_the_log_of_the_service_reads_as_the_tables_do(
    world: Path, workspace: Workspace, logged: LoggedOffers, tmp_path: Path
) -> None:
    _write_log(world, workspace, tmp_path)
    found = read_logged(tmp_path, workspace.schema, _reward(workspace), since=MIDDLE.timestamp())
    order = [np.lexsort((one.rank, one.placement, one.ids[one.decision])) for one in (found, logged)]
    for name in ("placement", "rank", "action", "probability", "reward"):
        mine, theirs = (getattr(one, name)[place] for one, place in zip((found, logged), order, strict=True))
        np.testing.assert_array_equal(mine, theirs)
    mine, theirs = (one.X[one.decision[place]] for one, place in zip((found, logged), order, strict=True))
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def _write_log(world: Path, workspace: Workspace, folder: Path) -> None:
    """The tables of the world in the layout of the service's log."""
    LogFolder(folder).prepare()
    shown = pq.read_table(world / "decisions.parquet")
    customers = pq.read_table(world / "customers.parquet")
    _, first = np.unique(np.array(shown["decision_id"].to_pylist(), np.str_), return_index=True)
    decisions = shown.take(first)
    owners = customers.take(pc.index_in(decisions["customer_id"], value_set=customers["customer_id"]))
    features = {
        feature.name: (decisions if feature.source is Source.CONTEXT else owners)[feature.name]
        for feature in workspace.schema.features
    }
    columns = [column.combine_chunks() for column in features.values()]
    struct = pa.StructArray.from_arrays(columns, names=list(features))
    kept = decisions.select(["decision_id", "customer_id", "decided_at", "channel"])
    tables = {
        "decisions": kept.append_column("features", struct),
        "offers": shown.select(
            ["decision_id", "decided_at", "placement", "rank", "action", "selection_probability"]
        ),
        "outcomes": _identified(pq.read_table(world / "outcomes.parquet"), shown),
    }
    for name, table in tables.items():
        half = table.num_rows // 2
        for hour, part in enumerate((table.slice(0, half), table.slice(half))):
            home = folder / name / "date=2026-01-31" / f"hour={hour:02}"
            home.mkdir(parents=True)
            pq.write_table(part, home / "0.parquet")


def _identified(outcomes: pa.Table, shown: pa.Table) -> pa.Table:
    """The outcomes with what those of the log have on top."""
    offers = zip(*(shown[name].to_pylist() for name in ("decision_id", "action", "placement")), strict=True)
    placements = {(decision, action): placement for decision, action, placement in offers}
    met = zip(*(outcomes[name].to_pylist() for name in ("decision_id", "action")), strict=True)
    outcomes = outcomes.append_column("placement", pa.array([placements[offer] for offer in met]))
    outcomes = outcomes.append_column("received_at", outcomes["occurred_at"])
    return outcomes.append_column("outcome_id", pa.array([str(place) for place in range(len(outcomes))]))


def test_a_copied_file_of_the_log_is_no_more_evidence(
    world: Path, workspace: Workspace, logged: LoggedOffers, tmp_path: Path
) -> None:
    _write_log(world, workspace, tmp_path)
    for path in sorted(tmp_path.glob("*/*/hour=00/0.parquet")):
        shutil.copy(path, path.with_name("copy.parquet"))
    found = read_logged(tmp_path, workspace.schema, _reward(workspace), since=MIDDLE.timestamp())
    assert len(found.action) == len(logged.action)
    assert found.reward.sum() == logged.reward.sum()
    assert any("offers were there twice, and count once" in remark for remark in found.remarks)


def test_what_came_before_its_decision_or_is_not_known_yet_does_not_count(
    world: Path, workspace: Workspace, tmp_path: Path
) -> None:
    _write_log(world, workspace, tmp_path)
    for path in sorted(tmp_path.glob("outcomes/*/*/0.parquet")):
        outcomes = pq.read_table(path, partitioning=None)
        early = pc.subtract(outcomes["occurred_at"], pa.scalar(timedelta(days=2)))
        place = outcomes.column_names.index("occurred_at")
        pq.write_table(outcomes.set_column(place, "occurred_at", early), path)
    found = read_logged(tmp_path, workspace.schema, _reward(workspace))
    assert found.reward.sum() == 0
    assert any("before their decision, and do not count" in remark for remark in found.remarks)
    known = read_logged(world, workspace.schema, _reward(workspace), MIDDLE.timestamp())
    assert known.now.max() < MIDDLE.timestamp()
    assert any("can still be answered" in remark for remark in known.remarks)


def test_a_probability_that_is_none_is_named_with_its_decision(
    world: Path, workspace: Workspace, tmp_path: Path
) -> None:
    _write_log(world, workspace, tmp_path)
    path = min(tmp_path.glob("offers/*/*/0.parquet"))
    offers = pq.read_table(path, partitioning=None)
    place = offers.column_names.index("selection_probability")
    never = pa.array([0.0] * len(offers))
    pq.write_table(offers.set_column(place, "selection_probability", never), path)
    with pytest.raises(
        LogUnfit, match=r"'selection_probability' is 0.0 of '.+' in decision .+, the first of"
    ):
        read_logged(tmp_path, workspace.schema, _reward(workspace))


def test_a_part_of_the_time_is_read(world: Path, workspace: Workspace, logged: LoggedOffers) -> None:
    early = read_logged(world, workspace.schema, _reward(workspace), until=MIDDLE.timestamp())
    whole = read_logged(world, workspace.schema, _reward(workspace))
    assert logged.now.min() >= MIDDLE.timestamp() > early.now.max()
    assert len(logged.action) + len(early.action) == len(whole.action)


def test_values_are_summed(world: Path, workspace: Workspace) -> None:
    found = read_logged(world, workspace.schema, Reward(workspace.label_rules))
    values = pq.read_table(world / "outcomes.parquet")["value"]
    assert found.reward.sum() == pytest.approx(pc.sum(values).as_py())


def test_what_comes_after_the_window_of_its_action_does_not_count(
    world: Path, workspace: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(world, tmp_path / "late")
    outcomes = pq.read_table(world / "outcomes.parquet")
    decisions = pq.read_table(world / "decisions.parquet")
    decided = dict(zip(*(decisions[name].to_pylist() for name in ("decision_id", "decided_at")), strict=True))
    [action, other] = list(dict.fromkeys(outcomes["action"].to_pylist()))[:2]
    late = {action: timedelta(days=2), other: timedelta(days=2)}
    moments = [
        decided[decision] + late.get(name, timedelta())
        for decision, name in zip(
            outcomes["decision_id"].to_pylist(), outcomes["action"].to_pylist(), strict=True
        )
    ]
    place = outcomes.column_names.index("occurred_at")
    changed = outcomes.set_column(place, "occurred_at", pa.array(moments, outcomes["occurred_at"].type))
    pq.write_table(changed, tmp_path / "late/outcomes.parquet")
    windows = {str(action): 86_400.0, str(other): 3 * 86_400.0}
    found = read_logged(
        tmp_path / "late",
        workspace.schema,
        Reward(replace(workspace.label_rules, windows=windows), responses=True),
    )
    before = read_logged(world, workspace.schema, _reward(workspace))
    assert before.reward[before.action == action].sum() > 0 == found.reward[found.action == action].sum()
    assert_array_equal(found.reward[found.action != action], before.reward[before.action != action])


def test_a_log_that_is_not_there_is_told(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(
        LogUnfit, match=r"neither a log nor decisions.parquet is here: name the folder of a log"
    ):
        read_logged(tmp_path, workspace.schema, Reward(workspace.label_rules))


def test_a_time_without_decisions_is_told(world: Path, workspace: Workspace) -> None:
    with pytest.raises(LogUnfit, match="nothing was offered in that time"):
        read_logged(
            world,
            workspace.schema,
            Reward(workspace.label_rules),
            since=datetime(2100, 1, 1, tzinfo=UTC).timestamp(),
        )
