"""What is allowed and yet hardly meant is told with its file and line, and nothing else is."""

from pathlib import Path
from typing import Any

import pytest

from service.workspace.lint import warnings
from service.workspace.loading import load_workspace

Files = Any  # the class of the fixture
NOW = 1_780_272_000.0  # 1 June 2026
TELCO = Path(__file__).parents[3] / "examples" / "telco"


@pytest.fixture
def files(files: Files) -> Files:
    """The small workspace without what is worth a warning in it."""
    files.edit(
        "actions/sales.yaml", "        active: false\n", "        active: false\n        propensity: 0.1\n"
    )
    files.edit("actions/service.yaml", "        propensity: 0.2\n", CHECK_UP)
    files.edit("models.yaml", ", features: [age, intent]", "")
    assert told(files) == []
    return files


CHECK_UP = """\
        propensity: 0.2
        treatments:
          check_up_web: {channel: web}
"""


def told(files: Files, now: float = NOW) -> list[str]:
    return [str(warning) for warning in warnings(load_workspace(files.folder), now)]


def rules(files: Files, action: str = "fibre_500", **sources: str) -> None:
    """Put rules of an action, by stage."""
    old = f"      {action}:\n"
    lines = "".join(f"        {stage}: '{source}'\n" for stage, source in sources.items())
    files.edit("actions/service.yaml" if action == "check_up" else "actions/sales.yaml", old, old + lines)


def policies(files: Files, text: str) -> None:
    path = files.folder / "policies.yaml"
    path.write_text(path.read_text() + text)


def test_the_example_of_a_telephone_company_has_nothing_to_warn_of_while_its_seasons_last() -> None:
    assert warnings(load_workspace(TELCO), NOW) == []


def test_a_rule_that_nobody_meets_is_told(files: Files) -> None:
    rules(files, eligibility="customer.age > 40.0 && customer.age < 30.0")
    (only,) = told(files)
    assert only.startswith("actions/sales.yaml:10: groups.internet.actions.fibre_500.eligibility: ")
    assert only.endswith(": can never hold, so 'fibre_500' is never offered")


def test_a_rule_that_everybody_meets_is_told(files: Files) -> None:
    rules(files, eligibility="has(customer.age)")  # it has a default
    (only,) = told(files)
    assert "holds for everybody at all times" in only


def test_rules_of_an_action_that_contradict_one_another_are_told_once_with_both_places(files: Files) -> None:
    rules(
        files, eligibility="customer.age >= 18.0 && customer.age < 90.0", suitability="has(customer.segment)"
    )
    policies(files, "suitability:\n  - {name: for_kids, issue: sales, when: customer.age < 12.0}\n")
    (only,) = told(files)
    assert only.startswith("actions/sales.yaml:10: groups.internet.actions.fibre_500.eligibility: ")
    assert only.endswith(
        ": can't hold together with 'for_kids' (policies.yaml:6), so 'fibre_500' is never offered"
    )


def test_rules_of_a_treatment_are_held_against_those_of_its_action(files: Files) -> None:
    rules(files, eligibility='customer.segment == "soho"')
    old = "            placements: [home_hero]\n"
    files.edit(
        "actions/sales.yaml", old, old + """            suitability: customer.segment == "consumer"\n"""
    )
    (only,) = told(files)
    assert only.startswith("actions/sales.yaml:22: ")
    assert "'fibre_500.eligibility' (actions/sales.yaml:10), so 'fibre_500_hero' is never offered" in only


def test_a_rule_that_a_stricter_one_makes_needless_is_told(files: Files) -> None:
    rules(
        files, eligibility="customer.age >= 18.0", suitability="customer.age >= 21.0 && customer.age < 70.0"
    )
    (only,) = told(files)
    assert only.startswith("actions/sales.yaml:10: ")
    assert "always holds where 'fibre_500.suitability' (actions/sales.yaml:11) does" in only


def test_of_two_rules_that_say_the_same_the_later_one_is_told(files: Files) -> None:
    rules(files, eligibility="customer.age >= 18.0", suitability="!(customer.age < 18.0)")
    (only,) = told(files)
    assert only.startswith("actions/sales.yaml:11: ")


def test_a_rule_that_covers_more_than_the_stricter_one_is_not_told(files: Files) -> None:
    rules(files, suitability="customer.age >= 21.0")
    policies(files, "eligibility:\n  - {name: adults, issue: sales, when: customer.age >= 18.0}\n")
    assert told(files) == []


def test_an_action_that_has_ended_or_is_stopped_is_told(files: Files) -> None:
    policies(files, "emergency_exclusion: [mobile_5g]\n")
    ended, stopped = told(files, now=NOW + 365 * 86_400)
    assert ended.startswith(
        "actions/sales.yaml:12: groups.internet.actions.fibre_500.end: is over since 2027-01-01"
    )
    assert stopped.startswith("policies.yaml:5: emergency_exclusion.0: 'mobile_5g' is stopped")


def test_an_action_without_a_live_treatment_is_told_unless_it_is_switched_off(files: Files) -> None:
    files.edit(
        "actions/sales.yaml", "mobile_5g_web: {channel: web}", "mobile_5g_web: {channel: web, active: false}"
    )
    action, weight = told(files)
    assert "groups.mobile.actions.mobile_5g: has no live treatment" in action
    assert "context_weights.0: weighs nothing" in weight


def test_a_treatment_without_a_placement_is_told(files: Files) -> None:
    files.edit("actions/sales.yaml", "channel: email", "channel: email\n            placements: []")
    unplaced, empty = told(files)
    assert "fibre_500_mail.placements: names no placement" in unplaced
    assert empty.startswith("channels.yaml:11: channels.email.placements.newsletter: stays empty")


def test_a_treatment_that_another_one_always_comes_before_is_told(files: Files) -> None:
    second = "check_up_web: {channel: web}\n          check_up_too: {channel: web, placements: [home_tiles]}"
    files.edit("actions/service.yaml", "check_up_web: {channel: web}", second)
    (only,) = told(files)
    assert "check_up_too: is never shown: 'check_up_web' comes first in all its placements" in only
    ruled = 'check_up_web: {channel: web, eligibility: "customer.age > 30.0"}'
    files.edit("actions/service.yaml", "check_up_web: {channel: web}", ruled)
    assert told(files) == []


def test_a_value_or_a_lever_that_makes_the_priority_nothing_is_told(files: Files) -> None:
    files.edit(
        "actions/service.yaml", "propensity: 0.2", "propensity: 0.2\n        value: 0\n        lever: -100"
    )
    assert ["makes the priority 0" in line for line in told(files)] == [
        True
    ]  # the factor of the value is off
    files.edit("policies.yaml", "arbitration: {value: false}", "arbitration: {lever: false}")
    (only,) = told(files)
    assert "check_up.value: makes the priority 0" in only


def test_levers_out_of_proportion_are_told_where_most_of_them_is_written(files: Files) -> None:
    files.edit("actions/sales.yaml", "lever: 20", "lever: 900")
    (only,) = told(files)
    assert (
        only.startswith("actions/sales.yaml:2: lever: makes the lever of 'fibre_500' and 'mobile_5g'")
        is False
    )
    files.edit("actions/sales.yaml", "lever: 900", "lever: 20")
    files.edit("actions/sales.yaml", "lever: 25", "lever: 925")
    (only,) = told(files)
    assert "fibre_500.lever: makes the lever of 'fibre_500' 10.6" in only


def test_conditions_models_and_features_that_nothing_uses_are_told(files: Files) -> None:
    policies(files, "conditions: {adult: customer.age >= 18.0, senior: adult && customer.age >= 65.0}\n")
    files.edit("models.yaml", "description: Buys}", "description: Buys, features: [age]}")
    files.edit("models.yaml", "description: Buys internet}", "description: Buys internet, features: [age]}")
    files.edit("models.yaml", "description: Buys fibre}", "description: Buys fibre, features: [age]}")
    assert told(files) == [
        "features.yaml:3: features.segment: is read by no model, rule or weight",
        "policies.yaml:5: conditions.senior: is used by no rule",
    ]
    files.edit("actions/sales.yaml", "    model: internet\n", "")
    files.edit("actions/sales.yaml", "        active: false\n", "        active: false\n")
    assert "models.yaml:3: models.internet: no action uses this model" in told(files)


def test_offers_that_nobody_is_made_are_told(files: Files) -> None:
    rules(files, eligibility="customer.age >= 18.0")
    offers = """\
        offers:
          - {name: young, when: customer.age < 12.0, valid_for: 7d, terms: {price: 1}}
          - {name: grown, when: customer.age >= 16.0, valid_for: 7d, terms: {price: 2}}
          - {name: standard, valid_for: 7d, terms: {price: 3}}
"""
    files.edit("actions/sales.yaml", "        title: Fibre 500\n", offers)
    young, standard = told(files)
    assert "offers.0: is never made: nobody who may have the action" in young
    assert "offers.2: is never made: an offer above always holds where it does" in standard


def test_volume_limits_that_never_limit_anything_are_told(files: Files) -> None:
    policies(
        files,
        """\
volume_limits:
  - {name: all_day, at_most: 100, per: day}
  - {name: fibre_day, at_most: 100, per: day, action: fibre_500}
  - {name: hourly, at_most: 3, per: hour, issue: sales}
  - {name: sales_day, at_most: 90, per: day, issue: sales}
  - {name: autumn, at_most: 9, per: campaign, start: 2025-09-01, end: 2025-11-30, issue: sales}
  - {name: nowhere, at_most: 9, per: day, issue: service, channels: [email]}
""",
    )
    fibre, sales, autumn, nowhere = told(files)
    assert "volume_limits.1: is never reached: 'all_day' covers all that it does" in fibre
    assert "volume_limits.3: is never reached: 'hourly' covers all that it does" in sales
    assert "volume_limits.4: is over" in autumn
    assert "volume_limits.5: limits nothing" in nowhere


def test_an_action_that_can_not_reach_what_is_asked_for_is_told(files: Files) -> None:
    files.edit("policies.yaml", "arbitration: {value: false}\n", "")
    files.edit("actions/service.yaml", "propensity: 0.2", "propensity: 0.2\n        value: 10")
    files.edit("actions/sales.yaml", "      mobile_5g:\n", "      mobile_5g:\n        value: 50\n")
    policies(files, "thresholds: [{name: worth_it, priority: 3, channels: [web]}]\n")
    (only,) = told(files)
    assert "check_up: is never offered: with propensity at most 0.2 and priority 2" in only
    assert "(threshold 'worth_it')" in only
    files.edit("actions/service.yaml", "value: 10", "value: 0")
    (only,) = told(files)  # and not also that it is offered where nothing else is left
    assert "check_up: is never offered" in only
    files.edit("actions/service.yaml", "value: 0", "value: 10")
    weight = "  - {when: {intent: buy}, issue: service, weight: 60}\n"
    files.edit("policies.yaml", "thresholds:", weight + "thresholds:")
    assert told(files) == []
    policies(files, "do_nothing: {cost: {web: 3.5}}\n")
    (only,) = told(files)
    assert "(the cost of a contact)" in only
    files.edit("actions/service.yaml", "value: 10", "value: {formula: customer.age, otherwise: 1}")
    assert told(files) == []
    files.edit("actions/service.yaml", "value: {formula: customer.age, otherwise: 1}", "mandatory: true")
    assert told(files) == []


def test_weights_and_thresholds_that_do_nothing_are_told(files: Files) -> None:
    files.edit("policies.yaml", "weight: 100", "weight: 0")
    more = """\
  - {when: "context.basket > 5.0 && context.basket < 4.0", issue: sales, weight: 5}
  - {issue: service, channels: [email], weight: 5}
thresholds:
  - {name: low, propensity: 0.001, issue: sales}
  - {name: high, propensity: 0.002}
  - {name: nowhere, priority: 1, action: check_up, channels: [email]}
"""
    policies(files, more)
    zero, never, nothing, low, nowhere = told(files)
    assert "context_weights.1.weight: is 0" in zero
    assert "context_weights.2.when: can never hold" in never
    assert "context_weights.3: weighs nothing" in nothing
    assert "thresholds.0: its propensity stops nothing that 'high' lets through" in low
    assert "thresholds.2: stops nothing" in nowhere


CONTACT = """\
contact_policies:
  caps:
    - {name: three_a_week, at_most: 3, of: [impression], within: 7d, per: action, without_history: allow}
    - {name: one_a_month, at_most: 1, of: [impression, click], within: 30d, per: group, without_history: suppress}
    - {name: a_day, at_most: 1, of: [impression], within: 1d, per: everything, without_history: allow}
    - {name: two_a_day, at_most: 2, of: [click], within: 1d, per: everything, without_history: allow}
    - {name: nowhere, at_most: 1, of: [click], within: 1d, per: action, issue: service, channels: [email], without_history: allow}
  gaps:
    - {name: half_a_day, at_least: 12h, of: [impression], per: channel, channels: [web], without_history: allow}
  pauses:
    - {name: said_no, after: 1, of: [reject], pause: 90d, per: action, without_history: allow}
    - {name: said_no_twice, after: 2, of: [reject], within: 9d, pause: 9d, per: action, issue: sales, without_history: allow}
"""  # noqa: E501


def test_contact_policies_that_never_hold_anybody_back_are_told(files: Files) -> None:
    policies(files, CONTACT)
    found = {line.partition(": contact_policies.")[2] for line in told(files)}
    never = "never holds anybody back: {} does already wherever it would"
    assert found == {
        "caps.0: " + never.format("'one_a_month'"),
        "caps.4: covers nothing: none of its actions has a live treatment in its channels",
        "gaps.0: " + never.format("'a_day'"),
        "pauses.1: " + never.format("'said_no'"),
    }


def test_limits_and_bundles_that_no_answer_knows_are_told(files: Files) -> None:
    slate = """\
slate:
  limits:
    - {name: many, at_most: 3}
    - {name: one_sale, issue: sales, at_most: 1}
    - {name: one_internet, group: internet, at_most: 1}
  bundles: [{name: both, kind: fixed, actions: [check_up, fibre_500]}]
"""
    policies(files, slate)
    many, internet = told(files)
    assert "slate.limits.0: is never reached: it covers 3 live actions and allows 3" in many
    assert "slate.limits.2: is never reached" in internet
    gone = [line for line in told(files, now=NOW + 365 * 86_400) if "bundles" in line]
    assert len(gone) == 1
    assert "slate.bundles.0: is never offered as a bundle: 'fibre_500' is not to be had" in gone[0]


def test_experiments_that_are_over_or_withhold_nothing_are_told(files: Files) -> None:
    (files.folder / "experiments.yaml").write_text("""\
experiments:
  spring: {namespace: a, start: 2026-01-01, end: 2026-05-01, arms: {out: {share: 5%, withhold: everything}}}
  old_line: {namespace: b, arms: {out: {share: 5%, withhold: {actions: [dsl_50]}}}}
  fine: {namespace: c, arms: {out: {share: 5%, withhold: {actions: [dsl_50, fibre_500]}}}}
""")
    over, nothing = told(files)
    assert over.startswith("experiments.yaml:2: experiments.spring.end: is over since 2026-05-02")
    assert "experiments.old_line.arms.out.withhold: withholds nothing" in nothing


def test_a_value_that_swallows_every_answer_is_told_unless_values_are_scaled(files: Files) -> None:
    files.edit("policies.yaml", "arbitration: {value: false}", "arbitration: {value: true}")
    files.edit("actions/service.yaml", "propensity: 0.2", "propensity: 0.2\n        value: 9000")
    (only,) = told(files)
    assert "check_up.value: is 75 times the usual value of 120" in only
    files.edit("policies.yaml", "{value: true}", "{value_scaling: {method: logarithm}}")
    assert told(files) == []
