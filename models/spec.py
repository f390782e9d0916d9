"""models.yaml: which models a workspace has, and which outcomes count as a response for each."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from feature_store.documents import Document, Problem, WorkspaceError, did_you_mean, load_document, parse
from feature_store.schema import FeatureSchema

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class ModelSpec:
    """A declared model: `positive` are the outcomes that it predicts; `features` None is all of them. With a
    `control`, an action, it predicts how much likelier they are than with that one: see `models.uplift`."""

    name: str
    positive: tuple[str, ...]
    description: str
    features: tuple[str, ...] | None = None
    control: str | None = None

    def reads(self, schema: FeatureSchema) -> tuple[str, ...]:
        """The names of the features that the model reads, in its order."""
        return self.features or tuple(feature.name for feature in schema.features)


class _ModelEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    positive: tuple[str, ...] = Field(min_length=1)
    description: str = Field(min_length=1)
    features: tuple[str, ...] | None = Field(default=None, min_length=1)
    control: str | None = None


class _ModelsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, _ModelEntry]


def load_specs(path: Path, schema: FeatureSchema | None = None) -> dict[str, ModelSpec]:
    """The models that a workspace's models.yaml declares, by name, in the order of the file.

    With a `schema`, the features that they name must be in it.

    Raises:
        WorkspaceError: with every problem of the file, by line.
    """
    document = load_document(path)
    entries = parse(document, _ModelsFile).models
    problems = [
        problem
        for name, entry in entries.items()
        for problem in (*_names(document, name, entry), *_strangers(document, name, entry, schema))
    ]
    if problems:
        raise WorkspaceError(problems)
    return {
        name: ModelSpec(name, entry.positive, entry.description, entry.features, entry.control)
        for name, entry in entries.items()
    }


def _names(document: Document, name: str, entry: _ModelEntry) -> Iterator[Problem]:
    rule = "is lower-case letters, digits and _, and begins with a letter"
    if not _NAME.fullmatch(name):
        yield document.problem(("models", name), f"a model's name {rule}")
    for place, outcome in enumerate(entry.positive):
        if not _NAME.fullmatch(outcome):
            yield document.problem(("models", name, "positive", place), f"an outcome's name {rule}")
    for key, names in (("positive", entry.positive), ("features", entry.features or ())):
        for word, count in Counter(names).items():
            if count > 1:
                yield document.problem(("models", name, key), f"'{word}' is listed {count} times")


def _strangers(
    document: Document, name: str, entry: _ModelEntry, schema: FeatureSchema | None
) -> Iterator[Problem]:
    if schema is None:
        return
    known = [feature.name for feature in schema.features]
    for place, feature in enumerate(entry.features or ()):
        if feature not in known:
            message = f"'{feature}' is not a declared feature{did_you_mean(feature, known)}"
            yield document.problem(("models", name, "features", place), message)
