"""Rules that can't hold, alone or together, and rules that take nothing out."""

from collections.abc import Iterator, Sequence

from feature_store.documents import Problem
from service.decisioning.rules import nodes
from service.workspace.lint.subject import Subject, listed, warning, where
from service.workspace.rules import OWNED, CompiledRule


def impossible(subject: Subject) -> Iterator[Problem]:
    """Rules that no customer meets at any time."""
    for one in subject.rules:
        if not subject.solver.possible([one.node]):
            yield _warning(one, f"can never hold, so {_covered(subject, one)} is never offered")


def needless(subject: Subject) -> Iterator[Problem]:
    """Rules that everybody meets."""
    for one in subject.rules:
        if subject.solver.implies([], one.node):
            yield _warning(one, "holds for everybody at all times: it takes nothing out")


def contradictory(subject: Subject) -> Iterator[Problem]:
    """Rules of an action, or of a treatment and its action, that can't all hold."""
    conflicts: dict[tuple[int, ...], list[str]] = {}
    numbers = {id(one): number for number, one in enumerate(subject.rules)}
    hopeless: set[int] = set()
    for action, rules in subject.of_action.items():
        if clash := _conflict(subject, rules):
            hopeless.add(action)
            name = subject.catalogue.actions[action].name
            conflicts.setdefault(tuple(numbers[id(one)] for one in clash), []).append(name)
    for number, rules in subject.of_treatment.items():
        treatment = subject.catalogue.treatments[number]
        action = subject.catalogue.action_index[treatment.action]
        if (
            rules
            and action not in hopeless
            and (clash := _conflict(subject, [*subject.of_action[action], *rules]))
        ):
            conflicts.setdefault(tuple(numbers[id(one)] for one in clash), []).append(treatment.name)
    for clashing, names in conflicts.items():
        *others, last = (subject.rules[number] for number in clashing)
        message = f"can't hold together with {_rules(others)}, so {listed(names)} "
        yield _warning(last, message + ("are" if len(names) > 1 else "is") + " never offered")


def _conflict(subject: Subject, rules: Sequence[CompiledRule]) -> tuple[CompiledRule, ...]:
    """At least two rules that can't all hold; one that can't by itself is told by itself."""
    clashing = subject.solver.conflict([one.node for one in rules])
    return tuple(rules[position] for position in clashing) if len(clashing) > 1 else ()


def shadowed(subject: Subject) -> Iterator[Problem]:
    """Rules that always hold where another one does that covers the same. What says which products a
    customer owns is no rule that anybody would leave out."""
    order = {id(one): number for number, one in enumerate(subject.rules)}
    for one in subject.rules:
        if one.rule.name == OWNED or not one.rule.features:
            continue
        for other in _around(subject, one):
            if not _decides(subject, other, one):
                continue
            if order[id(other)] > order[id(one)] and _decides(subject, one, other):
                continue  # they say the same: the later one is told
            yield _warning(
                one, f"always holds where {_rules([other])} does: it takes nothing out that this leaves"
            )
            break


def _around(subject: Subject, one: CompiledRule) -> Iterator[CompiledRule]:
    """The rules that cover all that a rule covers, and read something that it reads."""
    rule = one.rule
    if rule.treatments:
        first = subject.of_treatment[rule.treatments[0]]
        of_action = {subject.catalogue.treatments[number].action for number in rule.treatments}
        actions = {subject.catalogue.action_index[name] for name in of_action}
        candidates = [*first, *subject.of_action[min(actions)]]
    else:
        actions = set(rule.actions)
        candidates = [*subject.of_action[min(actions)]]
    for other in candidates:
        covers = actions <= set(other.rule.actions) or (
            bool(rule.treatments) and set(rule.treatments) <= set(other.rule.treatments)
        )
        if other is not one and covers and set(rule.features) & set(other.rule.features):
            yield other


def _decides(subject: Subject, one: CompiledRule, then: CompiledRule) -> bool:
    """Whether a rule that can hold implies another, and not only because everything does."""
    solver = subject.solver
    return (
        solver.implies([one.node], then.node)
        and solver.possible([one.node])
        and not solver.implies([], then.node)
    )


def unmade_offers(subject: Subject) -> Iterator[Problem]:
    """Offers that nobody is made, since an earlier one always holds, or the action is not for them."""
    for declared in subject.workspace.files.offers:
        action = subject.catalogue.action_index[declared.action]
        rules = [one.node for one in subject.of_action[action]]
        if not subject.solver.possible(rules):
            continue
        earlier: list[nodes.Flag] = []
        for number, offer in enumerate(declared.written.offers):
            loc = (*declared.loc, "offers", number)
            node = nodes.TRUE if offer.when is None else subject.node(offer.when)
            if not subject.solver.possible([*rules, node]):
                yield warning(
                    (declared.document, loc),
                    "is never made: nobody who may have the action meets its condition",
                )
            elif earlier and subject.solver.implies([*rules, node], nodes.disjunction(earlier)):
                yield warning(
                    (declared.document, loc), "is never made: an offer above always holds where it does"
                )
            earlier.append(node)


def _warning(one: CompiledRule, message: str) -> Problem:
    return one.document.problem(one.loc, message)


def _rules(rules: Sequence[CompiledRule]) -> str:
    return " and ".join(f"'{one.rule.name}' ({where(one.document, one.loc)})" for one in rules)


def _covered(subject: Subject, one: CompiledRule) -> str:
    if one.rule.treatments:
        return listed([subject.catalogue.treatments[number].name for number in one.rule.treatments])
    return subject.named_actions(one.rule.actions)
