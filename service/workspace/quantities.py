"""Formulas from where they stand."""

from dataclasses import dataclass

from feature_store.documents import Document, Loc
from feature_store.feature import Source
from service.decisioning.quantities import Formula
from service.decisioning.rules import Compiled
from service.decisioning.rules.certainty import never_missing
from service.decisioning.rules.nodes import Value
from service.workspace.rules import RuleReader
from service.workspace.shapes.quantities import FormulaDocument


@dataclass(frozen=True)
class DeclaredFormula:
    """A formula as it is written: `loc` is the place of its text. Without `otherwise` it has to have a number
    for everybody."""

    document: Document
    loc: Loc
    source: str
    otherwise: float | None


def read_quantity(
    reader: RuleReader,
    document: Document,
    loc: Loc,
    written: float | str | FormulaDocument,
    otherwise: float | None = None,
) -> float | Formula | None:
    """What is written at `loc`, or None where there is a problem with it."""
    if isinstance(written, float | int):
        return written
    return read_formula(reader, _declared(document, loc, written, otherwise))


def declared_formula(
    document: Document, loc: Loc, written: float | str | FormulaDocument
) -> DeclaredFormula | None:
    """What is written at `loc` if it is a formula; None if it is a number."""
    return None if isinstance(written, float | int) else _declared(document, loc, written, None)


def _declared(
    document: Document, loc: Loc, written: str | FormulaDocument, otherwise: float | None
) -> DeclaredFormula:
    if isinstance(written, str):
        return DeclaredFormula(document, loc, written, otherwise)
    return DeclaredFormula(document, (*loc, "formula"), written.formula, written.otherwise)


def stand_in(written: float | str | FormulaDocument) -> float:
    """The number that is written, or what stands in for a formula; 0 for one that never needs it."""
    if isinstance(written, FormulaDocument):
        return written.otherwise
    return 0.0 if isinstance(written, str) else written


def formula_text(written: float | str | FormulaDocument) -> str | None:
    """The text of a formula, None for a number."""
    if isinstance(written, FormulaDocument):
        return written.formula.strip()
    return written.strip() if isinstance(written, str) else None


def read_formula(reader: RuleReader, declared: DeclaredFormula) -> Formula | None:
    """A formula as columns, or None where there is a problem with it."""
    compiled = reader.number(declared.document, declared.loc, declared.source)
    if compiled is None:
        return None
    if declared.otherwise is None and not never_missing(compiled.node, reader.schema):
        message = (
            f"has no number where {_missing(reader, compiled)}: write {{formula: ..., otherwise: 10}} with "
            "the number that counts there, or ask with has()"
        )
        reader.problems.append(declared.document.problem(declared.loc, message))
        return None
    return Formula(reader.builder.value(compiled.node), declared.otherwise or 0.0)


def _missing(reader: RuleReader, compiled: Compiled[Value]) -> str:
    """Why a formula may have no number, in words."""
    features = [reader.schema.feature(name) for name in compiled.features]
    lacking = [
        f"{'context' if feature.source is Source.CONTEXT else 'customer'}.{feature.name}"
        for feature in features
        if feature.default is None
    ]
    return f"{' or '.join(lacking)} is missing" if lacking else "something is divided by 0"
