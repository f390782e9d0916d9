"""Who takes part in an experiment, and what is different for them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action
from service.decisioning.conduct import STANDING_ARMS, Conduct
from service.decisioning.draws import UNKNOWN, branch, keys_of
from service.decisioning.experiments import DEFAULT_ARM, Arm, Experiment, Experiments, arm_of, places
from service.decisioning.exploration import Exploration
from service.decisioning.pipeline import Decisions, decide
from service.decisioning.snapshot import Snapshot
from service.decisioning.spending import ExplorationCost
from service.decisioning.stages import STILL_IN, Stage

from .conftest import NOW, MakeBatch, MakeSnapshot, book

PEOPLE = 20_000
UNITS = keys_of([f"c{number}" for number in range(PEOPLE)])
STANDARD = Conduct()
A = Action("a", "sales", "mobile", propensity=0.1, value=100.0)
B = Action("b", "sales", "mobile", propensity=0.2, value=10.0, levers=(0.0, 0.0, 1000.0))
C = Action("c", "service", "help", propensity=0.4, value=1.0)


@pytest.fixture
def anyone(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> Batch:
    """A request of each of the people."""
    return make_batch(make_snapshot([A]), PEOPLE, units=UNITS)


def takes_part(batch: Batch, *arms: Arm, namespace: str = "x", **parts: object) -> NDArray[np.intp]:
    experiment = Experiment("e", namespace, arms, **parts)  # type: ignore[arg-type]
    return Experiments((experiment,)).assign(batch, STANDARD).arms[:, 0]


def test_an_arm_has_its_share_of_the_people(anyone: Batch) -> None:
    found = takes_part(anyone, Arm("small", 0.0, 0.02), Arm("large", 0.3, 0.8))
    counts = [np.count_nonzero(found == number) for number in (-1, 0, 1)]
    assert chisquare(counts, [PEOPLE * 0.48, PEOPLE * 0.02, PEOPLE * 0.5]).pvalue > 1e-3


def test_a_share_that_grows_moves_nobody_out_of_their_arm(anyone: Batch) -> None:
    before = takes_part(anyone, Arm("control", 0.0, 0.02), Arm("test", 0.1, 0.15))
    after = takes_part(anyone, Arm("control", 0.0, 0.05), Arm("test", 0.1, 0.4))
    assert (after[before >= 0] == before[before >= 0]).all()
    assert (after >= 0).sum() > 2 * (before >= 0).sum()


def test_the_arms_of_one_namespace_never_share_anybody(anyone: Batch) -> None:
    one = takes_part(anyone, Arm("one", 0.0, 0.3))
    other = takes_part(anyone, Arm("other", 0.3, 1.0))
    assert ((one >= 0) ^ (other >= 0)).all()


def test_namespaces_have_nothing_to_do_with_one_another() -> None:
    holdout, arbitration = (
        places(UNITS, Experiment("e", name, ()).key) for name in ("holdout", "arbitration")
    )
    grid = np.histogram2d(holdout, arbitration, bins=10, range=((0, 1), (0, 1)))[0]
    assert chisquare(grid.ravel()).pvalue > 1e-3


def test_the_same_people_are_in_an_arm_in_every_channel_and_batch(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot, arm = make_snapshot([A]), Arm("test", 0.2, 0.6)
    web = takes_part(make_batch(snapshot, 100, units=UNITS[:100]), arm)
    email = takes_part(make_batch(snapshot, 100, channel="email", units=UNITS[:100][::-1]), arm)
    assert (web == email[::-1]).all()
    for person in range(10):
        alone = make_batch(snapshot, 1, units=UNITS[[person]])
        assert takes_part(alone, arm)[0] == web[person]


def test_an_experiment_has_its_time(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    batch = make_batch(make_snapshot([A]), 4, units=UNITS[:4], now=np.array([NOW - 1, NOW, NOW + 1, NOW + 2]))
    found = takes_part(batch, Arm("everybody", 0.0, 1.0), start=NOW, end=NOW + 2)
    assert found.tolist() == [-1, 0, 0, -1]


def test_the_customers_of_an_account_are_in_one_arm(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    batch = make_batch(make_snapshot([A]), 50, units=UNITS[:50], account_units=np.repeat(UNITS[50:60], 5))
    by_account = takes_part(batch, Arm("half", 0.0, 0.5), by_account=True).reshape(10, 5)
    assert (by_account == by_account[:, :1]).all()
    assert len(np.unique(by_account)) == 2
    assert len(np.unique(takes_part(batch, Arm("half", 0.0, 0.5)).reshape(10, 5), axis=0)) > 2


def test_who_can_not_be_told_from_others_takes_no_part(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    accounts = np.array([UNITS[0], UNKNOWN], np.uint64)
    batch = make_batch(make_snapshot([A]), 2, units=UNITS[:2], account_units=accounts)
    assert takes_part(batch, Arm("everybody", 0.0, 1.0), by_account=True).tolist() == [0, -1]


def test_without_units_nobody_takes_part(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
    batch = make_batch(make_snapshot([A]), 3)
    assert (takes_part(batch, Arm("everybody", 0.0, 1.0)) == -1).all()


CONTROL = Experiment(
    "universal_control",
    "holdout",
    (Arm("control", 0.0, 1.0, withheld=np.array([True, True, False])),),
    description="2 % are offered nothing, so that we know what all of it is worth",
)


def decided(snapshot: Snapshot, batch: Batch) -> tuple[Decisions, list[str]]:
    """The decisions, and the names of what is chosen, in order."""
    decisions = decide(snapshot, batch)
    return decisions, [snapshot.catalogue.actions[action].name for action in decisions.slate.action.tolist()]


def test_what_is_withheld_from_a_control_group_is_known_to_the_last_but_not_offered(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    snapshot = make_snapshot([A, B, C], experiments=Experiments((CONTROL,)))
    decisions, names = decided(snapshot, make_batch(snapshot, units=UNITS[:1]))
    assert names == ["c"]
    removal = snapshot.removals[decisions.removed_by[0, 0]]
    assert removal is not None
    assert (removal.stage, removal.rule) == (Stage.ARBITRATION, "experiment:universal_control")
    assert removal.meaning == CONTROL.description
    assert decisions.factors.priority[0].tolist() == pytest.approx([10.0, 22.0, 0.4])


def test_an_empty_placement_says_that_the_customer_is_in_a_control_group(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    everything = replace(CONTROL, arms=(Arm("control", 0.0, 1.0, withheld=np.ones(2, np.bool_)),))
    snapshot = make_snapshot([A, B], experiments=Experiments((everything,)))
    decisions, names = decided(snapshot, make_batch(snapshot, units=UNITS[:1]))
    assert names == []
    reasons = [snapshot.no_actions[code].reason for code in decisions.slate.empty_code.tolist()]
    assert reasons == ["control_group"] * 2


def test_of_two_experiments_that_withhold_an_action_the_first_one_says_so(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    second = replace(CONTROL, name="second", arms=(Arm("no_c", 0.0, 1.0, withheld=np.array([True] * 3)),))
    snapshot = make_snapshot([A, B, C], experiments=Experiments((CONTROL, second)))
    decisions, _ = decided(snapshot, make_batch(snapshot, units=UNITS[:1]))
    rules = [removal.rule for removal in (snapshot.removals[c] for c in decisions.removed_by[0]) if removal]
    assert rules == ["experiment:universal_control"] * 2 + ["experiment:second"]


def test_the_first_experiment_gives_the_arm_and_each_is_named(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    idle = Experiment("idle", "other", (Arm("test", 0.0, 1e-9),))
    plain = Experiment("plain", "another", (Arm("first", 0.0, 0.5), Arm("second", 0.5, 1.0)))
    experiments = Experiments((idle, CONTROL, plain))
    snapshot = make_snapshot([A, B, C], experiments=experiments)
    assigned = decide(snapshot, make_batch(snapshot, 20, units=UNITS[:20])).assigned
    arms = [experiments.arms(assigned, row) for row in range(20)]
    assert {arm_of(each) for each in arms} == {"universal_control.control"}
    assert {each["plain"] for each in arms} == {"first", "second"}
    assert not any("idle" in each for each in arms)
    assert arm_of({}) == DEFAULT_ARM


def standing(
    make_snapshot: MakeSnapshot,
    name: str,
    actions: list[Action],
    standard: Conduct = STANDARD,
    **parts: object,
) -> Snapshot:
    """A snapshot in which everybody is in one of the standing arms."""
    arm = Arm(name, 0.0, 1.0, STANDING_ARMS[name](standard))
    experiments = Experiments((Experiment("impact", "arbitration", (arm,)),))
    return make_snapshot(actions, experiments=experiments, **parts)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_levers", ["a", "b", "c"]),
        ("propensity_only", ["c", "b", "a"]),
        ("eligibility_only", ["b", "a", "c"]),
    ],
)
def test_a_standing_arm_leaves_out_one_part_of_arbitration(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch, name: str, expected: list[str]
) -> None:
    snapshot = standing(make_snapshot, name, [A, B, C])
    batch = make_batch(snapshot, limits={"tiles": 3}, units=UNITS[:1])
    assert decided(snapshot, batch)[1] == expected
    nobody = replace(batch, units=None)
    assert decided(snapshot, nobody)[1] == ["b", "a", "c"]


def test_eligibility_only_does_not_hear_what_is_relevant_or_right(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    rules = book(
        (Stage.ELIGIBILITY, "1 > 2", {"actions": (0,)}),
        (Stage.APPLICABILITY, "2 > 3", {"actions": (1,)}),
        (Stage.SUITABILITY, "3 > 4", {"actions": (2,)}),
    )
    snapshot = standing(make_snapshot, "eligibility_only", [A, B, C], rules=rules)
    batch = make_batch(snapshot, limits={"tiles": 3}, units=UNITS[:1])
    assert decided(snapshot, batch)[1] == ["b", "c"]
    assert decided(snapshot, replace(batch, units=None))[1] == []


def test_eligibility_only_does_not_hear_what_is_relevant_or_right_of_treatments_either(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    """The catalogue has one treatment for each action, in their order."""
    rules = book(
        (Stage.ELIGIBILITY, "1 > 2", {"treatments": (0,)}),
        (Stage.APPLICABILITY, "2 > 3", {"treatments": (1,)}),
        (Stage.SUITABILITY, "3 > 4", {"treatments": (2,)}),
    )
    snapshot = standing(make_snapshot, "eligibility_only", [A, B, C], rules=rules)
    batch = make_batch(snapshot, limits={"tiles": 3}, units=UNITS[:1])
    assert decided(snapshot, batch)[1] == ["b", "c"]
    decisions, chosen = decided(snapshot, replace(batch, units=None))
    assert chosen == []
    assert [snapshot.removals[code].rule for code in decisions.removed_by[0]] == ["1 > 2", "2 > 3", "3 > 4"]


def drawn(snapshot: Snapshot, make_batch: MakeBatch, number: int) -> Decisions:
    seeds = branch(np.arange(number, dtype=np.uint64), 5)
    return decide(
        snapshot, make_batch(snapshot, number, limits={"hero": 1}, units=UNITS[:number], seeds=seeds)
    )


def test_random_eligible_takes_any_candidate_and_none_that_is_out(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    out = replace(C, name="d", active=False)
    decisions = drawn(standing(make_snapshot, "random_eligible", [A, B, C, out]), make_batch, 3000)
    counts = np.bincount(decisions.slate.action, minlength=4)
    assert counts[3] == 0
    assert chisquare(counts[:3]).pvalue > 1e-3
    assert (decisions.slate.selection_probability == 1 / 3).all()
    assert not decisions.slate.expected_cost.any()


def test_random_propensity_keeps_the_models_word_but_does_not_listen_to_it(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    equal = [replace(action, value=10.0, levers=(0.0, 0.0, 0.0)) for action in (A, B, C)]
    decisions = drawn(standing(make_snapshot, "random_propensity", equal), make_batch, 3000)
    assert decisions.factors.propensity[0].tolist() == [0.1, 0.2, 0.4]
    assert chisquare(np.bincount(decisions.slate.action)).pvalue > 1e-3
    assert decisions.slate.selection_probability == pytest.approx(np.full(3000, 1 / 3), abs=0.02)


def test_what_an_arm_may_spend_on_exploring_is_a_budget(make_snapshot: MakeSnapshot) -> None:
    bold = Conduct(exploration=Exploration("softmax", daily_cost=5.0))
    snapshot = make_snapshot(
        [A], experiments=Experiments((Experiment("e", "n", (Arm("bold", 0.0, 0.3, bold),)),))
    )
    cost = ExplorationCost.of(snapshot)
    assert cost is not None
    assert cost.at_most == 5
    assert ExplorationCost.of(make_snapshot([A])) is None


def test_who_is_in_no_arm_explores_as_everybody_does(
    make_snapshot: MakeSnapshot, make_batch: MakeBatch
) -> None:
    """One batch of people of three conducts: each is decided for as in a batch of their own."""
    actions = [Action(f"a{number}", "i", "g", propensity=0.1 + number / 100) for number in range(6)]
    arms = (
        Arm("random", 0.0, 0.3, STANDING_ARMS["random_eligible"](STANDARD)),
        Arm("bold", 0.3, 0.6, Conduct(exploration=Exploration("softmax", temperature=2.0))),
    )
    snapshot = make_snapshot(
        actions,
        experiments=Experiments((Experiment("e", "n", arms),)),
        exploration=Exploration("thompson", share=0.5),
    )
    seeds = branch(np.arange(60, dtype=np.uint64), 9)
    batch = make_batch(snapshot, 60, units=UNITS[:60], seeds=seeds)
    together = decide(snapshot, batch)
    assert set(together.assigned.conduct.tolist()) == {0, 1, 2}
    for row in range(60):
        alone = decide(snapshot, make_batch(snapshot, 1, units=UNITS[[row]], seeds=seeds[[row]]))
        mine = together.slate.row == row
        for column in ("slot", "rank", "action", "selection_probability", "expected_cost"):
            expected, found = getattr(alone.slate, column), getattr(together.slate, column)[mine]
            assert found.tolist() == expected.tolist()
    assert (together.removed_by == STILL_IN).sum() == len(together.slate.row)
