"""The rules of an answer as policies.yaml says them."""

import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.slate_policy import SlatePolicy
from service.workspace.loading import load_workspace

from .conftest import Files


def declare(files: Files, *lines: str) -> None:
    path = files.folder / "policies.yaml"
    path.write_text("slate:\n" + "".join(f"  {line}\n" for line in lines) + path.read_text())


def slate(files: Files, *lines: str) -> SlatePolicy:
    declare(files, *lines)
    return load_workspace(files.folder).engagement.slate


def named(files: Files, covered: list[bool]) -> list[str]:
    actions = load_workspace(files.folder).catalogue.actions
    return [action.name for action, counts in zip(actions, covered, strict=True) if counts]


@pytest.fixture
def tagged(files: Files) -> Files:
    """The workspace, with a tag on two actions and a fallback."""
    files.edit("actions/sales.yaml", "        title: Fibre 500\n", "        tags: [discount, fast]\n")
    files.edit("actions/sales.yaml", "      mobile_5g:\n", "      mobile_5g:\n        tags: [discount]\n")
    files.edit("actions/service.yaml", "propensity: 0.2", "propensity: 0.2\n        fallback: true")
    return files


def test_without_an_entry_an_answer_has_no_rules_of_its_own(files: Files) -> None:
    found = load_workspace(files.folder).engagement.slate
    assert (found.duplicates, found.limits, found.tiers, found.bundles) == (False, (), None, ())


def test_tags_and_fallbacks_stand_with_their_actions(tagged: Files) -> None:
    actions = {action.name: action for action in load_workspace(tagged.folder).catalogue.actions}
    assert actions["fibre_500"].tags == ("discount", "fast")
    assert [action.name for action in actions.values() if action.fallback] == ["check_up"]


def test_a_limit_counts_by_tag_and_scope_and_channel(tagged: Files) -> None:
    discount, mobile, mails = slate(
        tagged,
        "limits:",
        "  - {name: one_discount, tag: discount, at_most: 1}",
        "  - {name: mobile_discounts, description: Dear, tag: discount, group: mobile, at_most: 2}",
        "  - {name: mails, at_most: 3, channels: [email]}",
    ).limits
    assert named(tagged, discount.actions.tolist()) == ["fibre_500", "mobile_5g"]
    assert (discount.at_most, discount.channels.tolist()) == (1, [True, True])
    assert discount.removal.rule == "limit:one_discount"
    assert named(tagged, mobile.actions.tolist()) == ["mobile_5g"]
    assert mobile.removal.meaning == "Dear"
    assert mails.actions.all()
    assert mails.channels.tolist() == [False, True]


def test_issues_that_no_tier_names_come_last(files: Files) -> None:
    found = slate(files, "tiers: [[service]]", "duplicates: true")
    assert found.tiers is not None
    assert named(files, (found.tiers == 0).tolist()) == ["check_up"]
    assert set(found.tiers.tolist()) == {0, 1}
    assert found.duplicates


def test_a_bundle_has_its_actions_in_the_order_in_which_it_names_them(files: Files) -> None:
    [home] = slate(files, "bundles: [{name: home, kind: fixed, actions: [mobile_5g, fibre_500]}]").bundles
    order = load_workspace(files.folder).catalogue.action_index
    assert home.actions == (order["mobile_5g"], order["fibre_500"])
    assert home.fixed
    assert home.removal.rule == "bundle:home"


def limit(said: str) -> str:
    return f"limits: [{{name: x, {said}}}]"


def bundle(kind: str, actions: str) -> str:
    return f"bundles: [{{name: x, kind: {kind}, actions: [{actions}]}}]"


MISTAKES = [
    ([limit("tag: discunt, at_most: 1")], "no action has the tag 'discunt'; did you mean 'discount'?"),
    ([limit("issue: sale, at_most: 1")], "the catalogue has no issue 'sale'; did you mean 'sales'?"),
    ([limit("issue: service, tag: discount, at_most: 1")], "limits.0: covers no action of the catalogue"),
    ([limit("at_most: 0")], "limits.0.at_most: "),
    ([limit("at_most: 1}, {name: x, at_most: 2")], "limits.1.name: limit 'x' stands already in line 2"),
    (["tiers: [[sales], [servic]]"], "no issue 'servic'; did you mean 'service'?"),
    (["tiers: [[sales], [sales]]"], "tiers.1.0: issue 'sales' stands in a tier already"),
    ([bundle("fixed", "fibre_500")], "bundles.0.actions: "),
    ([bundle("solid", "fibre_500, mobile_5g")], "bundles.0.kind: "),
    ([bundle("fixed", "fibre_500, mobil_5g")], "no action 'mobil_5g'; did you mean 'mobile_5g'?"),
    ([bundle("fixed", "fibre_500, fibre_500")], "'fibre_500' stands already in bundle 'x'"),
    ([bundle("fixed", "fibre_500, dsl_50")], "bundles.0.actions: have no placement in common"),
    ([bundle("flexible", "fibre_500, dsl_50")], "'dsl_50' has no placement in common with the lead"),
    ([bundle("flexible", "mobile_5g, check_up")], "some are fallbacks and some are not"),
    (
        [limit("tag: discount, at_most: 1"), bundle("fixed", "fibre_500, mobile_5g")],
        "limit 'x' lets 1 of its actions into an answer, and the bundle has 2",
    ),
]


@pytest.mark.parametrize(("lines", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(
    tagged: Files, lines: list[str], said: str
) -> None:
    declare(tagged, *lines)
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(tagged.folder)
    told = [str(entry) for entry in caught.value.problems]
    line = 1 + len(lines)
    assert any(entry.startswith(f"policies.yaml:{line}: slate.") and said in entry for entry in told), told


def test_who_follows_in_a_fixed_bundle_is_not_mandatory(tagged: Files) -> None:
    tagged.edit("actions/sales.yaml", "value: 120", "mandatory: true")
    declare(tagged, bundle("fixed", "mobile_5g, fibre_500"))
    with pytest.raises(WorkspaceError, match="'fibre_500' is mandatory, but of a fixed bundle only the lead"):
        load_workspace(tagged.folder)


def test_a_fallback_is_not_mandatory(tagged: Files) -> None:
    tagged.edit("actions/service.yaml", "fallback: true", "fallback: true\n        mandatory: true")
    with pytest.raises(WorkspaceError, match=r"service.yaml:8: .*a fallback comes last of all"):
        load_workspace(tagged.folder)
