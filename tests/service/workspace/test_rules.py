"""Engagement policies as they are written in a workspace, and what is said of each kind of mistake."""

from typing import Any

import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.rulebook import Rule
from service.decisioning.stages import Stage
from service.workspace.loading import load_workspace

Files = Any  # the class of the fixture

RULES = """
conditions:
  adult: customer.age >= 18.0
eligibility:
  - {name: adults_only, when: adult, issue: sales, description: Of age}
  - {name: everybody, when: "true"}
applicability:
  - {name: mobile_now, when: 'context.intent == "buy"', issue: sales, group: mobile}
suitability:
  - {name: soho_mail, when: 'customer.segment == "soho"', treatment: fibre_500_mail}
  - {name: one_action, when: context.returning, action: check_up}
consent:
  marketing: {channels: [email], issues: [sales], unknown: denied}
emergency_exclusion: [dsl_50]
"""


@pytest.fixture
def ruled(files: Files) -> Files:
    """The valid workspace with rules in policies.yaml."""
    with (files.folder / "policies.yaml").open("a") as file:
        file.write(RULES)
    return files


def rules(files: Files) -> dict[str, Rule]:
    return {rule.name: rule for rule in load_workspace(files.folder).engagement.rules.rules}


def covered(files: Files, name: str) -> list[str]:
    """The actions, or the treatments, that a rule covers."""
    catalogue = load_workspace(files.folder).catalogue
    rule = rules(files)[name]
    return [catalogue.actions[i].name for i in rule.actions] + [
        catalogue.treatments[i].name for i in rule.treatments
    ]


def problems(files: Files) -> list[str]:
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    return [str(problem) for problem in caught.value.problems]


def test_a_rule_of_policies_yaml_covers_what_it_names_or_the_whole_catalogue(ruled: Files) -> None:
    assert covered(ruled, "adults_only") == ["dsl_50", "fibre_500", "mobile_5g"]
    assert covered(ruled, "everybody") == ["dsl_50", "fibre_500", "mobile_5g", "check_up"]
    assert covered(ruled, "mobile_now") == ["mobile_5g"]
    assert covered(ruled, "soho_mail") == ["fibre_500_mail"]
    assert covered(ruled, "one_action") == ["check_up"]


def test_a_rule_has_its_stage_its_text_its_meaning_and_the_features_that_it_reads(ruled: Files) -> None:
    rule = rules(ruled)["adults_only"]
    assert (rule.stage, rule.source, rule.meaning) == (Stage.ELIGIBILITY, "adult", "Of age")
    assert rule.features == ("age",)


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ('eligibility: "customer.age > 3"', ["fibre_500.eligibility"]),
        ('suitability: ["customer.age > 3", "true"]', ["fibre_500.suitability.1", "fibre_500.suitability.2"]),
        ('applicability: {old: "customer.age > 3", other: "true"}', ["old", "other"]),
    ],
)
def test_rules_that_stand_with_an_action_are_one_a_list_or_by_name(
    files: Files, written: str, names: list[str]
) -> None:
    files.edit(
        "actions/sales.yaml", "        title: Fibre 500\n", f"        title: Fibre 500\n        {written}\n"
    )
    assert list(rules(files)) == names
    assert covered(files, names[0]) == ["fibre_500"]


def test_rules_stand_with_issues_groups_and_treatments_too(files: Files) -> None:
    files.edit("actions/sales.yaml", "lever: 20\n", "lever: 20\neligibility: {of_issue: customer.age > 3}\n")
    files.edit(
        "actions/sales.yaml",
        "    lever: 10\n",
        "    lever: 10\n    suitability: {of_group: customer.age > 3}\n",
    )
    files.edit(
        "actions/sales.yaml", "{channel: web}", "{channel: web, applicability: {of_treatment: 'true'}}"
    )
    assert covered(files, "of_issue") == ["dsl_50", "fibre_500", "mobile_5g"]
    assert covered(files, "of_group") == ["dsl_50", "fibre_500"]
    assert covered(files, "of_treatment") == ["mobile_5g_web"]


@pytest.mark.parametrize(
    ("owns", "source"),
    [
        ("{products: fibre}", '!("fibre" in customer.products)'),
        ("{products: [fibre, tv]}", '!("fibre" in customer.products) && !("tv" in customer.products)'),
        ("{segment: soho}", '!(customer.segment in ["soho"])'),
    ],
)
def test_what_a_customer_owns_is_a_rule_of_eligibility(files: Files, owns: str, source: str) -> None:
    products = "  products: {type: set, source: profile, members: [fibre, tv], description: Has}\n"
    files.edit("features.yaml", "features:\n", "features:\n" + products)
    files.edit(
        "actions/sales.yaml",
        "        title: Fibre 500\n",
        f"        title: Fibre 500\n        owns: {owns}\n",
    )
    rule = rules(files)["owned_products"]
    assert (rule.stage, rule.source) == (Stage.ELIGIBILITY, source)
    assert covered(files, "owned_products") == ["fibre_500"]


def test_consents_are_needed_in_their_channels_for_their_issues(ruled: Files) -> None:
    workspace = load_workspace(ruled.folder)
    (purpose,) = workspace.engagement.purposes
    assert purpose.needs.tolist() == [[False] * 4, [True, True, True, False]]


def test_the_emergency_exclusion_names_actions(ruled: Files) -> None:
    stopped = load_workspace(ruled.folder).engagement.stopped
    assert stopped is not None
    assert stopped.tolist() == [True, False, False, False]


MISTAKES = [
    (
        "adult: customer.age",
        "adult: customer.agee",
        "7:10: conditions.adult: there is no feature 'customer.agee'",
    ),
    (
        "when: adult,",
        "when: adultt,",
        "9:31: eligibility.0.when: there is no condition 'adultt'; did you mean 'adult'?",
    ),
    (
        'context.intent == "buy"',
        'context.intent == "by"',
        "12:49: applicability.0.when: 'by' is not a level of intent (buy, cancel); did you mean 'buy'?",
    ),
    (
        "issue: sales, description",
        "issue: sale, description",
        "9: eligibility.0.issue: the catalogue has no issue 'sale'; did you mean 'sales'?",
    ),
    (
        "group: mobile}\nsuit",
        "group: care}\nsuit",
        "12: applicability.0.group: issue 'sales' has no group 'care'",
    ),
    (
        "action: check_up",
        "action: checkup",
        "15: suitability.1.action: the catalogue has no action 'checkup'; did you mean 'check_up'?",
    ),
    (
        "treatment: fibre_500_mail",
        "treatment: mail",
        "14: suitability.0.treatment: the catalogue has no treatment 'mail'",
    ),
    (
        "name: everybody",
        "name: adults_only",
        "10: eligibility.1.name: rule 'adults_only' stands already in line 9",
    ),
    ("name: everybody", "name: Every Body", "10: eligibility.1.name: String should match pattern"),
    (
        'when: "true"',
        "when: true",
        "10: eligibility.1.when: must be a valid string, not True (put it in quotes)",
    ),
    (
        "channels: [email]",
        "channels: [mail]",
        "17: consent.marketing.channels.0: the catalogue has no channel 'mail'",
    ),
    ("unknown: denied", "unknown: no", "17: consent.marketing.unknown: must be 'granted' or 'denied'"),
    (
        "unknown: denied",
        "unknown: denied, imported: {web: 'true'}",
        "17: consent.marketing.imported.web: 'web' is not among the purpose's channels",
    ),
    ("[dsl_50]", "[dsl]", "18: emergency_exclusion.0: the catalogue has no action 'dsl'"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_in_policies_yaml_is_told_with_its_place(
    ruled: Files, old: str, new: str, said: str
) -> None:
    ruled.edit("policies.yaml", old, new)
    told = problems(ruled)
    assert any(entry.startswith(f"policies.yaml:{said}") for entry in told), told


def test_a_mistake_in_a_text_of_several_lines_is_told_with_its_own_line(files: Files) -> None:
    text = """        title: Fibre 500
        eligibility: |
          customer.age > 3
            && customer.segmnt == 'soho'
"""
    files.edit("actions/sales.yaml", "        title: Fibre 500\n", text)
    (problem,) = problems(files)
    assert problem.startswith("actions/sales.yaml:13:16: groups.internet.actions.fibre_500.eligibility: ")
    assert problem.endswith("there is no feature 'customer.segmnt'; did you mean 'segment'?")


@pytest.mark.parametrize("written", ["eligibility: true", "eligibility: [3]", "suitability: {a: 3}"])
def test_what_is_no_rule_is_told(files: Files, written: str) -> None:
    files.edit(
        "actions/sales.yaml", "        title: Fibre 500\n", f"        title: Fibre 500\n        {written}\n"
    )
    (problem,) = problems(files)
    assert problem.endswith("must be a rule in quotes, a list of rules, or rules by name")
    assert problem.startswith("actions/sales.yaml:11: ")


@pytest.mark.parametrize(
    ("owns", "said"),
    [
        ("{segmnt: soho}", "owns.segmnt: is not a set or category of the customer; did you mean 'segment'?"),
        ("{segment: sohoo}", "owns.segment: 'sohoo' is not a level of segment; did you mean 'soho'?"),
        ("{age: soho}", "owns.age: is not a set or category of the customer"),
        ("{segment: []}", "owns.segment: names nothing that could be owned"),
    ],
)
def test_what_can_not_be_owned_is_told(files: Files, owns: str, said: str) -> None:
    files.edit(
        "actions/sales.yaml",
        "        title: Fibre 500\n",
        f"        title: Fibre 500\n        owns: {owns}\n",
    )
    (problem,) = problems(files)
    assert said in problem
    assert problem.startswith("actions/sales.yaml:11: ")


def test_a_broken_condition_is_told_once_and_not_again_for_each_rule_that_uses_it(ruled: Files) -> None:
    ruled.edit("policies.yaml", "adult: customer.age", "adult: customer.agee")
    assert len(problems(ruled)) == 1
