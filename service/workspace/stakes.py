"""Stakes: what an action is worth and whether it comes first, as the catalogue's files say it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from feature_store.documents import Document, Loc
from service.decisioning.arbitration import Arbitration, Mandate
from service.decisioning.valuation import Valuation, ValueFormulas
from service.workspace.quantities import DeclaredFormula, declared_formula, read_formula
from service.workspace.rules import RuleReader
from service.workspace.shapes.catalogue import ActionDocument


@dataclass(frozen=True)
class DeclaredMandate:
    """An action that comes first, always or by a rule, as it is written."""

    document: Document
    loc: Loc
    action: str
    when: str | None


@dataclass(frozen=True)
class Stakes:
    """The formulas of the values by their actions, and what is mandatory, as far as the files are read."""

    values: dict[str, DeclaredFormula] = field(default_factory=dict)
    customer_values: dict[str, DeclaredFormula] = field(default_factory=dict)
    mandates: list[DeclaredMandate] = field(default_factory=list)

    def declare(self, document: Document, loc: Loc, name: str, action: ActionDocument) -> None:
        """Take down what the action at `loc` of a document says."""
        for key, written, formulas in (
            ("value", action.value, self.values),
            ("customer_value", action.customer_value, self.customer_values),
        ):
            formula = declared_formula(document, (*loc, key), written)
            if formula is not None:
                formulas[name] = formula
        if action.mandatory:
            when = action.mandatory if isinstance(action.mandatory, str) else None
            self.mandates.append(DeclaredMandate(document, (*loc, "mandatory"), name, when))


def read_stakes(reader: RuleReader, stakes: Stakes) -> Arbitration:
    """What holds of the actions however they are arbitrated."""
    business, customer = _formulas(reader, stakes.values), _formulas(reader, stakes.customer_values)
    mandates = [_mandate(reader, declared) for declared in stakes.mandates]
    return Arbitration(
        valuation=Valuation(business=business, customer=customer), mandates=tuple(filter(None, mandates))
    )


def _formulas(reader: RuleReader, declared: Mapping[str, DeclaredFormula]) -> ValueFormulas:
    index = reader.catalogue.action_index
    found = [(index[name], read_formula(reader, formula)) for name, formula in declared.items()]
    return tuple((action, formula) for action, formula in found if formula is not None)


def _mandate(reader: RuleReader, declared: DeclaredMandate) -> Mandate | None:
    action = reader.catalogue.action_index[declared.action]
    if declared.when is None:
        return Mandate(action)
    compiled = reader.compiled(declared.document, declared.loc, declared.when)
    return None if compiled is None else Mandate(action, reader.builder.true(compiled.node))
