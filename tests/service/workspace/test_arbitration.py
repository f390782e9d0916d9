"""Arbitration as the files say it: values, weights, thresholds, the cost of a contact, what is mandatory."""

from typing import Any

import numpy as np
import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.arbitration import arbitrate
from service.decisioning.barriers import ContactCost, Threshold
from service.decisioning.batch import Batch
from service.workspace.arbitration import read_arbitration
from service.workspace.loading import Workspace, load_workspace
from service.workspace.rules import RuleReader
from service.workspace.shapes.arbitration import ArbitrationSections

Files = Any  # the class of the fixture
CHANNEL = {"web": 0, "email": 1}
VALUE, SWITCH = "value: 120", "arbitration: {value: false}"
WEIGHT = "{when: {intent: cancel}, issue: sales, group: mobile, weight: -50}"


def factors(files: Files, channel: str = "web", **known: Any) -> dict[str, dict[str, float]]:
    """C, V and what V is made of for one customer with a propensity of 1 everywhere, by action."""
    workspace = load_workspace(files.folder)
    schema, catalogue = workspace.schema, workspace.catalogue
    X = schema.defaults[None].copy()
    for name, value in known.items():
        X[0, schema.slice(name)] = schema.feature(name).encode(value)
    row = np.arange(1)
    limits = np.ones((1, len(catalogue.slots)), np.int32)
    batch = Batch(X, np.zeros(1), row + CHANNEL[channel], limits, row == 0)
    computed = workspace.engagement.rules.evaluate(batch)
    P = np.ones((1, len(catalogue.actions)))
    found = arbitrate(workspace.arbitration, catalogue, batch, computed, row, P)
    mandatory = np.zeros_like(P) if found.mandatory is None else found.mandatory
    assumed = np.zeros_like(P) if found.assumed is None else found.assumed
    columns = {
        "C": found.context_weight,
        "V": found.value,
        "raw": found.raw_value,
        "mandatory": mandatory,
        "assumed": assumed,
        "priority": found.priority,
    }
    return {
        action.name: {name: float(column[0, index]) for name, column in columns.items()}
        for index, action in enumerate(catalogue.actions)
    }


def problem(files: Files) -> str:
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(files.folder)
    (only,) = caught.value.problems
    return str(only)


def barriers(workspace: Workspace) -> list[tuple[str, str, float, list[str], list[str]]]:
    """(name, factor, least, actions, channels) of each threshold."""
    catalogue = workspace.catalogue
    return [
        (
            barrier.name,
            barrier.factor,
            barrier.least,
            [a.name for a, covered in zip(catalogue.actions, barrier.actions, strict=True) if covered],
            [c.name for c, covered in zip(catalogue.channels, barrier.channels, strict=True) if covered],
        )
        for barrier in workspace.arbitration.barriers
        if isinstance(barrier, Threshold)
    ]


def test_a_value_can_be_a_formula_over_what_everybody_has(files: Files) -> None:
    files.edit("actions/sales.yaml", VALUE, "value: 0.5 * customer.age + 20.0")
    assert factors(files, age=30)["fibre_500"]["V"] == 35.0
    assert factors(files)["fibre_500"]["V"] == 40.0  # the feature's default


def test_a_formula_over_what_may_be_missing_declares_the_number_for_those_who_lack_it(files: Files) -> None:
    files.edit("actions/sales.yaml", VALUE, "value: {formula: 2.0 * context.basket, otherwise: 15}")
    assert factors(files, basket=30)["fibre_500"] == pytest.approx(
        {"C": 1.0, "V": 60.0, "raw": 60.0, "mandatory": 0.0, "assumed": 0.0, "priority": 1.55}
    )
    assert (factors(files)["fibre_500"]["V"], factors(files)["fibre_500"]["assumed"]) == (15.0, 1.0)


def test_has_makes_a_declared_number_unnecessary(files: Files) -> None:
    formula = "has(context.basket) ? 2.0 * context.basket : 15.0"
    files.edit("actions/sales.yaml", VALUE, f'value: "{formula}"')
    assert factors(files)["fibre_500"]["V"] == 15.0
    assert factors(files, basket=30)["fibre_500"]["V"] == 60.0


def test_the_benefit_of_the_customer_counts_beside_the_value_to_the_business(files: Files) -> None:
    files.edit("actions/sales.yaml", VALUE, "value: 120\n        customer_value: customer.age")
    assert factors(files)["fibre_500"]["V"] == 120.0
    files.edit("policies.yaml", SWITCH, "arbitration: {customer_benefit_weight: 0.5}")
    assert factors(files, age=60)["fibre_500"]["V"] == 150.0


def test_values_are_scaled_as_declared(files: Files) -> None:
    scaling = "arbitration: {value_scaling: {method: square_root, reference: 30}}"
    files.edit("policies.yaml", SWITCH, scaling)
    found = factors(files)["fibre_500"]
    assert [found["raw"], found["V"]] == pytest.approx([120.0, 60.0])


def test_a_weight_can_follow_a_prediction_and_be_for_everything(files: Files) -> None:
    files.edit("policies.yaml", WEIGHT, "{weight: customer.age + context.basket}")
    assert factors(files, age=30, basket=20)["check_up"]["C"] == 1.5
    assert factors(files, age=30)["check_up"]["C"] == 1.0  # what is not known weighs nothing


def test_a_weight_that_is_not_known_can_be_declared(files: Files) -> None:
    weight = "{action: check_up, weight: {formula: context.basket, otherwise: 40}}"
    files.edit("policies.yaml", WEIGHT, weight)
    assert factors(files)["check_up"]["C"] == 1.4
    assert factors(files)["fibre_500"]["C"] == 1.0


def test_the_condition_of_a_weight_can_be_a_rule_and_use_named_conditions(files: Files) -> None:
    files.edit(
        "policies.yaml",
        WEIGHT,
        '{when: young && context.intent == "buy", channels: [email], group: mobile, weight: 20}\n'
        "conditions: {young: customer.age < 30.0}\n"
        "thresholds: []",
    )
    text = (files.folder / "policies.yaml").read_text().splitlines()
    moved = [line for line in text if not line.startswith("  - {when: {returning")]
    (files.folder / "policies.yaml").write_text("\n".join(moved))
    for channel, age, weight in (("email", 20, 1.2), ("email", 40, 1.0), ("web", 20, 1.0)):
        assert factors(files, channel, age=age, intent="buy")["mobile_5g"]["C"] == weight


def test_an_action_is_mandatory_always_or_by_a_rule(files: Files) -> None:
    files.edit("actions/sales.yaml", VALUE, "value: 120\n        mandatory: true")
    files.edit(
        "actions/service.yaml", "propensity: 0.2", "propensity: 0.2\n        mandatory: customer.age > 60.0"
    )
    young, old = factors(files, age=30), factors(files, age=70)
    assert [young[name]["mandatory"] for name in ("fibre_500", "check_up", "dsl_50")] == [1, 0, 0]
    assert [old[name]["mandatory"] for name in ("fibre_500", "check_up", "dsl_50")] == [1, 1, 0]


def test_thresholds_are_for_their_scope_and_ask_for_a_propensity_a_priority_or_both(files: Files) -> None:
    files.edit(
        "policies.yaml",
        SWITCH,
        "thresholds:\n"
        "  - {name: worth_it, priority: 5}\n"
        "  - {name: sure, propensity: 0.01, priority: 2.5, issue: sales, group: internet, channels: [email]}",
    )
    everything, internet = ["dsl_50", "fibre_500", "mobile_5g", "check_up"], ["dsl_50", "fibre_500"]
    assert barriers(load_workspace(files.folder)) == [
        ("worth_it", "priority", 5.0, everything, ["web", "email"]),
        ("sure", "propensity", 0.01, internet, ["email"]),
        ("sure", "priority", 2.5, internet, ["email"]),
    ]


def test_doing_nothing_has_a_cost_in_the_channels_that_name_one(files: Files) -> None:
    files.edit("policies.yaml", SWITCH, "do_nothing: {cost: {email: 0.5}}")
    (cost,) = load_workspace(files.folder).arbitration.barriers
    assert isinstance(cost, ContactCost)
    assert cost.channels.tolist() == pytest.approx([np.nan, 0.5], nan_ok=True)


MISTAKES = [
    ("policies.yaml", WEIGHT, "{when: 'context.intent == 1', weight: 5}", ["3:13: ", "a category"]),
    ("policies.yaml", WEIGHT, "{weight: customer.ages}", ["3:14: ", "did you mean 'age'"]),
    ("policies.yaml", WEIGHT, '{weight: "customer.age > 3.0"}', ["weight", "number"]),
    ("policies.yaml", WEIGHT, "{issue: care, weight: 5}", ["3: ", "the catalogue has no issue 'care'"]),
    ("policies.yaml", WEIGHT, "{action: chek_up, weight: 5}", ["did you mean 'check_up'"]),
    ("policies.yaml", WEIGHT, "{channels: [webb], weight: 5}", ["channels.0", "did you mean 'web'"]),
    ("policies.yaml", WEIGHT, "{when: {}, weight: 5}", ["context_weights.0.when: "]),
    (
        "policies.yaml",
        SWITCH,
        "arbitration: {value_scaling: {method: log}}",
        ["1: ", "'logarithm'", "not 'log'"],
    ),
    ("policies.yaml", SWITCH, "arbitration: {value_scaling: {reference: 0}}", ["1: ", "greater than 0"]),
    ("policies.yaml", SWITCH, "arbitration: {customer_benefit_weight: -1}", ["greater than or equal to 0"]),
    ("policies.yaml", SWITCH, "thresholds: [{name: t}]", ["asks for nothing", "propensity"]),
    ("policies.yaml", SWITCH, "thresholds: [{name: t, propensity: 2}]", ["less than or equal to 1"]),
    ("policies.yaml", SWITCH, "thresholds: [{name: t, priority: 1, isue: sales}]", ["did you mean 'issue'"]),
    (
        "policies.yaml",
        SWITCH,
        "thresholds: [{name: t, priority: 1}, {name: t, priority: 2}]",
        ["thresholds.1.name: threshold 't' stands already in line 1"],
    ),
    ("policies.yaml", SWITCH, "do_nothing: {cost: {mail: 1}}", ["no channel 'mail'", "did you mean 'email'"]),
    ("policies.yaml", SWITCH, "do_nothing: {cost: {}}", ["do_nothing.cost"]),
    (
        "actions/sales.yaml",
        VALUE,
        "value: 2.0 * context.basket",
        ["sales.yaml:13: ", ".value: has no number where context.basket is missing", "otherwise", "has()"],
    ),
    ("actions/sales.yaml", VALUE, "value: 1.0 / customer.age", [".value: has no number", "divided by 0"]),
    ("actions/sales.yaml", VALUE, "value: context.intent", ["sales.yaml:13:16: ", "a number"]),
    ("actions/sales.yaml", VALUE, "value: {formula: '1.0'}", ["'otherwise' is missing"]),
    ("actions/sales.yaml", VALUE, "value: true", ["value", "valid number"]),
    ("actions/sales.yaml", VALUE, "mandatory: 1", ["mandatory", "valid boolean"]),
    ("actions/sales.yaml", VALUE, "mandatory: customer.age", ["mandatory", "true or false"]),
    ("actions/sales.yaml", VALUE, "customer_value: .nan", ["customer_value", "finite"]),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(
    files: Files, file: str, old: str, new: str, said: list[str]
) -> None:
    files.edit(file, old, new)
    told = problem(files)
    assert [part for part in said if part not in told] == [], told


def test_an_experiment_says_only_what_it_does_otherwise(files: Files) -> None:
    files.edit(
        "policies.yaml",
        SWITCH,
        "arbitration: {lever: false, customer_benefit_weight: 2}\n"
        "thresholds: [{name: worth_it, priority: 5}]\ndo_nothing: {cost: {email: 1}}",
    )
    workspace = load_workspace(files.folder)
    standard, document = workspace.arbitration, workspace.policies.document
    reader = RuleReader(
        workspace.schema, workspace.catalogue, document, workspace.policies.policies, workspace.files.groups
    )

    def read(**said: Any) -> Any:
        return read_arbitration(reader, document, (), ArbitrationSections(**said), standard)

    assert read() == standard
    challenger = read(arbitration={"propensity": False}, context_weights=[], do_nothing=None)
    assert (challenger.propensity, challenger.lever, challenger.context_weights) == (False, False, ())
    assert challenger.valuation == standard.valuation
    assert [barrier.removal.rule for barrier in challenger.barriers] == ["worth_it"]
    assert [barrier.removal.rule for barrier in read(thresholds=[]).barriers] == ["do_nothing"]
    assert not reader.problems
