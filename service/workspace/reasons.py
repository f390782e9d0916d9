"""`reasons:` of actions and treatments: the words for what speaks for an action, checked and compiled."""

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from feature_store.documents import Document, Loc, Problem, WorkspaceError, did_you_mean
from feature_store.feature import Feature, FeatureType
from feature_store.schema import FeatureSchema
from models.spec import ModelSpec
from service.decisioning.catalogue import Catalogue
from service.decisioning.wording import Form, Wording

BOUNDS = ("at_least", "at_most")
Wordings = tuple[tuple[Wording, ...], ...]
"""Those of each treatment of the catalogue."""


@dataclass(frozen=True)
class DeclaredReasons:
    """Reasons as they are written: with an action, or with one of its treatments."""

    document: Document
    loc: Loc
    action: str
    treatment: str | None
    texts: Mapping[str, Any]


def compile_reasons(
    declared: Sequence[DeclaredReasons],
    schema: FeatureSchema,
    catalogue: Catalogue,
    specs: Mapping[str, ModelSpec],
) -> Wordings:
    """The wordings of each treatment: its own, and those of its action for features of which it says nothing.

    Raises:
        WorkspaceError: with everything that is wrong, by line.
    """
    reader = _Reader(schema, catalogue, specs)
    found = {(entry.action, entry.treatment): reader.wordings(entry) for entry in declared}
    if reader.problems:
        raise WorkspaceError(reader.problems)
    return tuple(
        tuple(chain(*(found.get((said.action, None), {}) | found.get((said.action, said.name), {})).values()))
        for said in catalogue.treatments
    )


class _Reader:
    def __init__(self, schema: FeatureSchema, catalogue: Catalogue, specs: Mapping[str, ModelSpec]) -> None:
        self.schema, self.problems = schema, list[Problem]()
        self._features = {feature.name: feature for feature in schema.features}
        self._models = {action.name: action.model for action in catalogue.actions}
        self._reads = {name: frozenset(spec.reads(schema)) for name, spec in specs.items()}

    def wordings(self, entry: DeclaredReasons) -> dict[str, list[Wording]]:
        """The wordings of one place, by feature."""
        model = self._models[entry.action]
        if model is None:
            message = f"the action '{entry.action}' has no model, so that no feature speaks for it"
            self.problems.append(entry.document.problem(entry.loc, message))
            return {}
        found = {}
        for name, said in entry.texts.items():
            try:
                found[name] = list(self._of_feature(name, said, model))
            except _Fault as fault:
                loc = (*entry.loc, name, *fault.loc)
                self.problems.append(entry.document.problem(loc, fault.message))
        return found

    def _of_feature(self, name: str, said: Any, model: str) -> Iterator[Wording]:
        feature = self._features.get(name)
        if feature is None:
            raise _Fault(f"there is no feature '{name}'{did_you_mean(name, self._features)}")
        if name not in self._reads[model]:
            hint = did_you_mean(name, self._reads[model])
            raise _Fault(f"the model '{model}' does not read it: it never speaks for the action{hint}")
        column = self.schema.slice(name).start
        match feature.type:
            case FeatureType.NUMBER | FeatureType.TIMESTAMP:
                yield _in_bounds(feature, column, said)
            case FeatureType.FLAG:
                yield from _of_flag(column, said)
            case FeatureType.CATEGORY:
                for level, text in _by_name(feature, "level", feature.levels, said):
                    code = float(feature.codes[level])
                    yield Wording(column, text, least=code, most=code)
            case FeatureType.SET:
                for member, text in _by_name(feature, "member", feature.members, said):
                    yield Wording(column + feature.codes[member], text, least=1.0, most=1.0)


class _Fault(Exception):
    """What is wrong below a feature, and where."""

    def __init__(self, message: str, *loc: str | int) -> None:
        self.message, self.loc = message, loc


def _in_bounds(feature: Feature, column: int, said: Any) -> Wording:
    """A number or a timestamp: a text, or one with bounds within which it is said."""
    form = Form.DATE if feature.type is FeatureType.TIMESTAMP else Form.NUMBER
    if isinstance(said, str):
        return Wording(column, _template(said), form)
    if not isinstance(said, Mapping) or "text" not in said:
        raise _Fault("must be a text, or {text: ..., at_least: ..., at_most: ...}")
    bounds = {}
    for key, value in said.items():
        if key == "text":
            continue
        if key not in BOUNDS or form is Form.DATE:
            allowed = ("text",) if form is Form.DATE else ("text", *BOUNDS)
            raise _Fault(f"is not read here; a {feature.type} takes {', '.join(allowed)}", key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Fault(f"must be a number, not {value!r}", key)
        bounds[key] = float(value)
    least, most = bounds.get("at_least", float("-inf")), bounds.get("at_most", float("inf"))
    if not least <= most:
        raise _Fault(f"at_least {least:g} is above at_most {most:g}: it would never be said")
    return Wording(column, _template(said["text"], "text"), form, least, most)


def _of_flag(column: int, said: Any) -> Iterator[Wording]:
    """A text is for true; a mapping has one for true, false or both."""
    if isinstance(said, str):
        yield Wording(column, _template(said, fields=()).format(), least=1.0, most=1.0)
        return
    if not isinstance(said, Mapping) or not said or not set(said) <= {True, False}:
        raise _Fault("must be a text for true, or {true: ..., false: ...}")
    for value, text in said.items():
        plain = _template(text, value, fields=()).format()
        yield Wording(column, plain, least=float(value), most=float(value))


def _by_name(feature: Feature, kind: str, names: Sequence[str], said: Any) -> Iterator[tuple[str, str]]:
    """Each level or member that has a text, with its name in it: one text for all, or one by name."""
    if isinstance(said, str):
        template = _template(said)
        yield from ((name, template.format(value=name)) for name in names)
        return
    if not isinstance(said, Mapping) or not said:
        raise _Fault(f"must be a text, or texts by {kind}")
    for name, text in said.items():
        if name not in names:
            raise _Fault(f"'{feature.name}' has no {kind} '{name}'{did_you_mean(name, names)}", name)
        yield name, _template(text, name).format(value=name)


def _template(text: Any, *loc: str | int, fields: tuple[str, ...] = ("value",)) -> str:
    """A text with no other placeholders than `fields`."""
    if not isinstance(text, str) or not text.strip():
        raise _Fault(f"must be a text, not {text!r}", *loc)
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise _Fault(f"{str(error).lower()}; a brace itself is written {{{{ or }}}}", *loc) from None
    for _, field, spec, how in parts:
        if field is not None and (field not in fields or spec or how):
            allowed = "no placeholder but {value}" if fields else "no placeholder"
            raise _Fault(f"may hold {allowed}, not {{{field}}}; a brace itself is written {{{{", *loc)
    return text
