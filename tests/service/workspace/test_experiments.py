"""experiments.yaml, and the exploration of policies.yaml, as the core takes them."""

from typing import Any

import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.conduct import STANDING_ARMS, Conduct
from service.decisioning.experiments import Arm, Experiments
from service.decisioning.exploration import Exploration
from service.decisioning.stages import Stage
from service.workspace.loading import load_workspace

Files = Any  # the class of the fixture

EXPERIMENTS = """\
experiments:
  universal_control:
    description: What all of it is worth
    namespace: holdout
    start: 2026-01-01
    end: 2026-06-30
    arms:
      control: {share: 2%, withhold: everything}
  no_sales:
    namespace: holdout
    arms:
      control: {from: 2%, share: 0.5%, withhold: {issues: [service], groups: [mobile], actions: [dsl_50]}}
  impact:
    namespace: arbitration
    arms:
      random_eligible: {from: 0%, share: 1%, conduct: random_eligible}
      champion: {from: 5%, share: 5%}
      challenger:
        from: 10%
        share: 5%
        configuration:
          arbitration: {value: true}
          context_weights: [{when: "context.returning", issue: sales, weight: 7}]
          levers: {issue: {sales: 0}, group: {internet: -5}, action: {fibre_500: 50}}
          exploration: {method: softmax, temperature: 0.5}
"""


def experiments(files: Files, text: str = EXPERIMENTS) -> Experiments:
    (files.folder / "experiments.yaml").write_text(text)
    return load_workspace(files.folder).engagement.experiments


def arm(found: Experiments, name: str) -> Arm:
    experiment, _, wanted = name.partition(".")
    arms = {each.name: each.arms for each in found.experiments}[experiment]
    return {each.name: each for each in arms}[wanted]


def problem(files: Files) -> str:
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    (only,) = caught.value.problems
    return str(only)


def test_without_the_file_there_are_no_experiments_and_nothing_is_left_to_chance(files: Files) -> None:
    engagement = load_workspace(files.folder).engagement
    assert engagement.experiments == Experiments()
    assert engagement.exploration == Exploration()


def test_an_arm_owns_its_part_of_the_namespace_and_neighbours_meet(files: Files) -> None:
    found = experiments(files)
    assert (arm(found, "universal_control.control").start, arm(found, "universal_control.control").end) == (
        0,
        0.02,
    )
    assert (arm(found, "no_sales.control").start, arm(found, "no_sales.control").end) == (0.02, 0.025)


def test_an_experiment_runs_to_the_end_of_its_last_day(files: Files) -> None:
    control = experiments(files).experiments[0]
    assert (control.start, control.end) == (1_767_225_600.0, 1_782_864_000.0)
    assert control.description == "What all of it is worth"


def test_a_control_group_is_not_offered_what_is_withheld(files: Files) -> None:
    found = experiments(files)
    names = [action.name for action in load_workspace(files.folder).catalogue.actions]
    for control, expected in (
        ("universal_control.control", names),
        ("no_sales.control", ["dsl_50", "mobile_5g", "check_up"]),
    ):
        withheld = arm(found, control).withheld
        assert withheld is not None
        assert [name for name, out in zip(names, withheld, strict=True) if out] == expected


def test_an_arm_without_a_difference_is_there_to_be_compared_with(files: Files) -> None:
    champion = arm(experiments(files), "impact.champion")
    assert (champion.conduct, champion.withheld) == (None, None)


@pytest.mark.parametrize("name", STANDING_ARMS)
def test_a_standing_arm_begins_with_what_everybody_has(files: Files, name: str) -> None:
    text = EXPERIMENTS.replace("conduct: random_eligible", f"conduct: {name}")
    (files.folder / "experiments.yaml").write_text(text)
    engagement = load_workspace(files.folder).engagement
    conduct = arm(engagement.experiments, "impact.random_eligible").conduct
    assert conduct is not None
    assert conduct == STANDING_ARMS[name](Conduct(engagement.arbitration, engagement.exploration))
    assert (Stage.APPLICABILITY in conduct.skips) == (name == "eligibility_only")


def test_a_challenger_decides_by_what_it_says_and_else_as_everybody_does(files: Files) -> None:
    found = experiments(files)
    standard = load_workspace(files.folder).arbitration
    challenger = arm(found, "impact.challenger").conduct
    assert challenger is not None
    assert (standard.value, challenger.arbitration.value) == (False, True)
    assert challenger.arbitration.lever == standard.lever
    assert [weight.percent for weight in challenger.arbitration.context_weights] == [7.0]
    assert challenger.exploration == Exploration("softmax", temperature=0.5)
    names = [action.name for action in load_workspace(files.folder).catalogue.actions]
    assert challenger.arbitration.levers is not None
    levers = dict(zip(names, challenger.arbitration.levers.tolist(), strict=True))
    assert levers == pytest.approx({"dsl_50": 0.95, "fibre_500": 1.45, "mobile_5g": 1.0, "check_up": 1.0})


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (
            "from: 2%, share",
            "from: 1.5%, share",
            "12: experiments.no_sales.arms.control.from",
            "overlaps 'universal_control.control' (0% to 2%) in namespace 'holdout': nobody can be in both",
        ),
        (
            "share: 2%",
            "share: 0.02",
            "8: experiments.universal_control.arms.control.share",
            "must be a percentage, such as 2% or 0.5%, not 0.02",
        ),
        (
            "share: 2%",
            "share: 0%",
            "8: experiments.universal_control.arms.control",
            "has a share of 0%: leave the arm out to end it",
        ),
        (
            "from: 10%",
            "from: 96%",
            "18: experiments.impact.arms.challenger",
            "ends beyond 100%",
        ),
        (
            "conduct: random_eligible}",
            "conduct: random_eligible, configuration: {arbitration: {value: true}}}",
            "16: experiments.impact.arms.random_eligible",
            "has a conduct and a configuration: which of them decides?",
        ),
        (
            "issues: [service]",
            "issues: [servce]",
            "12: experiments.no_sales.arms.control.withhold.issues.0",
            "the catalogue has no issue 'servce'; did you mean 'service'?",
        ),
        (
            "end: 2026-06-30",
            "end: 2025-06-30",
            "6: experiments.universal_control.end",
            "is not after 'start': the experiment has no time",
        ),
        (
            "group: {internet: -5}",
            "group: {intrnet: -5}",
            "24: experiments.impact.arms.challenger.configuration.levers.group.intrnet",
            "the catalogue has no group 'intrnet'; did you mean 'internet'?",
        ),
        (
            "action: {fibre_500: 50}",
            "action: {fibre_500: -500}",
            "24: experiments.impact.arms.challenger.configuration.levers",
            "of 'fibre_500' add up to -505 %: below -100 % the priority is negative",
        ),
        (
            'when: "context.returning"',
            'when: "context.retuning"',
            "23:37: experiments.impact.arms.challenger.configuration.context_weights.0.when",
            "there is no feature 'context.retuning'; did you mean 'returning'?",
        ),
        (
            "namespace: holdout\n    arms:\n      control: {from",
            "namespace: holdout\n    unit: account\n    arms:\n      control: {from",
            "11: experiments.no_sales.unit",
            "namespace 'holdout' is by customer already, in 'universal_control'",
        ),
        (
            "withhold: everything",
            "conduct: no_levers",
            "16: experiments.impact.arms.random_eligible",
            "'universal_control.control' decides in its own way, too, in 'holdout': both need one namespace",
        ),
    ],
)
def test_a_slip_is_told_by_its_place_and_what_would_be_right(
    files: Files, old: str, new: str, place: str, message: str
) -> None:
    assert EXPERIMENTS.count(old) == 1
    (files.folder / "experiments.yaml").write_text(EXPERIMENTS.replace(old, new))
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    assert f"experiments.yaml:{place}: {message}" in map(str, caught.value.problems)


def test_more_namespaces_than_a_token_can_name_are_refused(files: Files) -> None:
    lines = [f"  e{n}: {{namespace: n{n}, arms: {{a: {{share: 1%}}}}}}" for n in range(11)]
    (files.folder / "experiments.yaml").write_text("experiments:\n" + "\n".join(lines) + "\n")
    assert "need 11 namespaces: outcome tokens can name 10 of them" in problem(files)


def test_policies_say_how_is_explored(files: Files) -> None:
    add(files, "exploration: {method: thompson, share: 0.2, floor: 0.01, daily_cost: 500, least_evidence: 5}")
    found = load_workspace(files.folder).engagement.exploration
    assert found == Exploration("thompson", share=0.2, floor=0.01, daily_cost=500.0, least_evidence=5.0)


def test_arms_may_declare_what_their_exploring_costs_where_nobody_else_explores(files: Files) -> None:
    found = experiments(files, EXPERIMENTS.replace("temperature: 0.5", "daily_cost: 5"))
    assert [conduct.exploration.daily_cost for conduct in found.conducts] == [None, 5.0]


def test_what_exploring_may_cost_is_declared_where_everybody_explores(files: Files) -> None:
    add(files, "exploration: {method: epsilon}")
    (files.folder / "experiments.yaml").write_text(EXPERIMENTS.replace("temperature: 0.5", "daily_cost: 5"))
    place = "experiments.yaml:25: experiments.impact.arms.challenger.configuration.exploration.daily_cost"
    assert f"{place}: is one limit for everybody who explores: declare it in policies.yaml" in problem(files)


def test_exploring_that_may_cost_nothing_is_written_as_none(files: Files) -> None:
    add(files, "exploration: {method: epsilon, daily_cost: 0}")
    with pytest.raises(WorkspaceError, match=r"exploration.daily_cost: must be above 0: .* method: none"):
        load_workspace(files.folder)


def add(files: Files, line: str) -> None:
    path = files.folder / "policies.yaml"
    path.write_text(f"{path.read_text()}{line}\n")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{method: best}", "exploration.method"),
        ("{method: none, share: 0.5}", "method 'none' leaves nothing to chance, and does not read share"),
        ("{method: thompson, epsilon: 0.1}", "epsilon is read by method 'epsilon', not by 'thompson'"),
        ("{method: softmax, temperature: 0}", "exploration.temperature"),
        ("{method: epsilon, share: 1.5}", "exploration.share"),
    ],
)
def test_a_slip_in_exploration_is_told(files: Files, entry: str, expected: str) -> None:
    add(files, f"exploration: {entry}")
    assert expected in problem(files)


def test_thompson_needs_propensities_that_count(files: Files) -> None:
    path = files.folder / "policies.yaml"
    path.write_text(path.read_text().replace("{value: false}", "{propensity: false}", 1))
    add(files, "exploration: {method: thompson}")
    assert (
        "exploration.method: 'thompson' draws propensities, and the arbitration has them switched off"
        in problem(files)
    )


def test_a_challenger_without_propensities_cannot_draw_them_either(files: Files) -> None:
    add(files, "exploration: {method: thompson}")
    text = EXPERIMENTS.replace("{value: true}", "{propensity: false}")
    text = text.replace("          exploration: {method: softmax, temperature: 0.5}\n", "")
    (files.folder / "experiments.yaml").write_text(text)
    assert "challenger.configuration.exploration.method: 'thompson' draws propensities" in problem(files)
