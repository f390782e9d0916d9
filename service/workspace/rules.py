"""Engagement policies from where they stand: policies.yaml, and the catalogue's own files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from feature_store.documents import Document, Loc, Problem, did_you_mean
from feature_store.feature import FeatureType
from feature_store.schema import STORED, FeatureSchema
from service.decisioning.catalogue import Catalogue
from service.decisioning.rulebook import Rule
from service.decisioning.rules import Compiled, Compiler, ExpressionError, ProgramBuilder
from service.decisioning.rules.nodes import Flag, Value
from service.decisioning.stages import Stage
from service.workspace.shapes.policies import PoliciesDocument
from service.workspace.shapes.rules import Covered

STAGES = (Stage.ELIGIBILITY, Stage.APPLICABILITY, Stage.SUITABILITY)
OWNED = "owned_products"


@dataclass(frozen=True)
class DeclaredRule:
    """A rule as it is written: `loc` is the place of its text. What is None does not narrow its scope."""

    document: Document
    loc: Loc
    stage: Stage
    name: str
    source: str
    meaning: str = ""
    issue: str | None = None
    group: str | None = None
    action: str | None = None
    treatment: str | None = None


@dataclass(frozen=True)
class Ownership:
    """What a customer has who has taken an action: members of sets, or levels of categories."""

    document: Document
    loc: Loc
    action: str
    owns: Mapping[str, str | list[str]]


@dataclass(frozen=True)
class CompiledRule:
    """A rule with the place where it is written, and what it computes."""

    document: Document
    loc: Loc
    rule: Rule
    node: Flag


def inline_rules(
    document: Document, loc: Loc, covered: Covered, owner: str, **scope: str
) -> Iterator[DeclaredRule]:
    """The rules that stand with an issue, a group, an action or a treatment. One without a name is called by
    its owner and its stage."""
    for stage in STAGES:
        rules = getattr(covered, stage)
        for number, rule in enumerate(rules, start=1):
            name = rule.name or f"{owner}.{stage}" + (f".{number}" if len(rules) > 1 else "")
            place = (*loc, str(stage), *rule.loc)
            yield DeclaredRule(document, place, stage, name, rule.text, **scope)


def listed_rules(document: Document, policies: PoliciesDocument) -> Iterator[DeclaredRule]:
    """The rules of policies.yaml."""
    for stage in STAGES:
        for index, rule in enumerate(getattr(policies, stage)):
            yield DeclaredRule(
                document=document,
                loc=(str(stage), index, "when"),
                stage=stage,
                name=rule.name,
                source=rule.when,
                meaning=rule.description,
                issue=rule.issue,
                group=rule.group,
                action=rule.action,
                treatment=rule.treatment,
            )


class RuleReader:
    """Compiles declared rules into one program, and collects what is wrong with them."""

    def __init__(
        self,
        schema: FeatureSchema,
        catalogue: Catalogue,
        document: Document,
        policies: PoliciesDocument,
        groups: Mapping[str, Sequence[str]],
    ) -> None:
        self.schema, self.catalogue, self.groups = schema, catalogue, groups
        self.document, self.policies = document, policies
        self.builder = ProgramBuilder()
        self.problems: list[Problem] = []
        self.compiled_rules: list[CompiledRule] = []
        self.compiler = Compiler(schema, policies.conditions)
        for name, error in self.compiler.errors.items():
            self._complain(document, ("conditions", name), policies.conditions[name], error)

    def rules(self, inline: Sequence[DeclaredRule], ownerships: Sequence[Ownership]) -> tuple[Rule, ...]:
        """All rules: those of policies.yaml speak first, then what customers own, then those of the
        actions."""
        listed = list(listed_rules(self.document, self.policies))
        self._once(listed)
        found = [self._rule(declared) for declared in listed]
        found += [self._owned(ownership) for ownership in ownerships]
        found += [self._rule(declared) for declared in inline]
        return tuple(rule for rule in found if rule is not None and (rule.actions or rule.treatments))

    def compiled(self, document: Document, loc: Loc, source: str) -> Compiled[Flag] | None:
        """A condition, or None where there is a problem with it."""
        try:
            return self.compiler.flag(source)
        except ExpressionError as error:
            self._complain(document, loc, source, error)
            return None

    def number(self, document: Document, loc: Loc, source: str) -> Compiled[Value] | None:
        """A numeric expression, or None where there is a problem with it."""
        try:
            return self.compiler.number(source)
        except ExpressionError as error:
            self._complain(document, loc, source, error)
            return None

    def _rule(self, declared: DeclaredRule) -> Rule | None:
        compiled = self.compiled(declared.document, declared.loc, declared.source)
        actions, treatments = self._covered(declared)
        if compiled is None:
            return None
        rule = Rule(
            stage=declared.stage,
            name=declared.name,
            meaning=declared.meaning or f"a rule of {declared.stage} does not hold",
            place=self.builder.true(compiled.node),
            source=declared.source.strip(),
            features=compiled.features,
            reads_now=compiled.reads_now,
            actions=actions,
            treatments=treatments,
        )
        self.compiled_rules.append(CompiledRule(declared.document, declared.loc, rule, compiled.node))
        return rule

    def _covered(self, declared: DeclaredRule) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The actions, or the treatments, that a rule is about."""
        self._check_scope(declared)
        actions = tuple(
            index
            for index, action in enumerate(self.catalogue.actions)
            if declared.issue in (None, action.issue)
            and declared.group in (None, action.group)
            and declared.action in (None, action.name)
        )
        if declared.treatment is None:
            return actions, ()
        said = enumerate(self.catalogue.treatments)
        return (), tuple(index for index, treatment in said if treatment.name == declared.treatment)

    def _check_scope(self, declared: DeclaredRule) -> None:
        groups = {
            group
            for issue, names in self.groups.items()
            if declared.issue in (None, issue)
            for group in names
        }
        for key, known in (
            ("issue", set(self.groups)),
            ("group", groups),
            ("action", set(self.catalogue.action_index)),
            ("treatment", self._treatments),
        ):
            name = getattr(declared, key)
            if name is not None and name not in known:
                within = f"issue '{declared.issue}'" if key == "group" and declared.issue else "the catalogue"
                message = f"{within} has no {key} '{name}'{did_you_mean(name, known)}"
                self.problems.append(declared.document.problem((*declared.loc[:-1], key), message))

    @cached_property
    def _treatments(self) -> set[str]:
        return {treatment.name for treatment in self.catalogue.treatments}

    def _owned(self, ownership: Ownership) -> Rule | None:
        """What a customer has is not offered again."""
        tests = [
            self._owned_test(ownership, name, [values] if isinstance(values, str) else values)
            for name, values in ownership.owns.items()
        ]
        if None in tests:
            return None
        source = " && ".join(filter(None, tests))
        compiled = self.compiler.flag(source)
        rule = Rule(
            stage=Stage.ELIGIBILITY,
            name=OWNED,
            meaning="the customer has it already",
            place=self.builder.true(compiled.node),
            source=source,
            features=compiled.features,
            actions=(self.catalogue.action_index[ownership.action],),
        )
        self.compiled_rules.append(CompiledRule(ownership.document, ownership.loc, rule, compiled.node))
        return rule

    def _owned_test(self, ownership: Ownership, name: str, values: Sequence[str]) -> str | None:
        kinds = (FeatureType.SET, FeatureType.CATEGORY)
        usable = {f.name: f for f in self.schema.features if f.type in kinds and f.source in STORED}
        feature, loc = usable.get(name), (*ownership.loc, name)
        if feature is None:
            message = f"is not a set or category of the customer{did_you_mean(name, usable)}"
            self.problems.append(ownership.document.problem(loc, message))
            return None
        unknown = [value for value in values if value not in feature.codes]
        for value in unknown:
            kind = "member" if feature.members else "level"
            message = f"'{value}' is not a {kind} of {name}{did_you_mean(value, feature.codes)}"
            self.problems.append(ownership.document.problem(loc, message))
        if not values:
            self.problems.append(ownership.document.problem(loc, "names nothing that could be owned"))
        if unknown or not values:
            return None
        if feature.members:
            return " && ".join(f"!({_quoted(value)} in customer.{name})" for value in values)
        return f"!(customer.{name} in [{', '.join(map(_quoted, values))}])"

    def _once(self, listed: Sequence[DeclaredRule]) -> None:
        """A name says which rule took something out, so it is given once."""
        first: dict[str, int] = {}
        for declared in listed:
            loc = (*declared.loc[:-1], "name")
            if declared.name in first:
                message = f"rule '{declared.name}' stands already in line {first[declared.name]}"
                self.problems.append(self.document.problem(loc, message))
            first.setdefault(declared.name, self.document.line(loc))

    def _complain(self, document: Document, loc: Loc, source: str, error: ExpressionError) -> None:
        place = error.place
        self.problems.append(document.problem_within(loc, source, place.line, place.column, error.message))


def _quoted(text: str) -> str:
    """A text as a literal of CEL: those of JSON are."""
    return json.dumps(text, ensure_ascii=False)
