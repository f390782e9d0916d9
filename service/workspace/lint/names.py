"""Features, conditions and models that are declared and then used by nothing."""

import re
from collections.abc import Iterator
from typing import Any

from feature_store.documents import Problem, load_document
from service.workspace.lint.subject import Subject, warning

WORD = re.compile(r"[a-z][a-z0-9_]*")
PROSE = frozenset({"content", "title", "description", "headline", "text"})
"""Keys whose texts are for people."""


def unused(subject: Subject) -> Iterator[Problem]:
    """Names that stand nowhere but where they are declared."""
    workspace = subject.workspace
    spoken = {
        word for document in _documents(subject) for text in _texts(document) for word in WORD.findall(text)
    }
    conditions = workspace.policies.policies.conditions
    within = {word for source in conditions.values() for word in WORD.findall(source)}
    for name in conditions:
        if name not in spoken | within:
            yield warning((subject.policies, ("conditions", name)), "is used by no rule")
    used_models = workspace.models
    models = load_document(workspace.folder / "models.yaml")
    for name in workspace.specs:
        if name not in used_models:
            user = "action" if workspace.specs[name].target is None else "derived feature"
            yield warning((models, ("models", name)), f"no {user} uses this model")
    read = {name for model in used_models for name in workspace.specs[model].reads(workspace.schema)}
    made = {name for names in workspace.derivations.reads.values() for name in names}
    counted = {feature.name for feature in workspace.derivations.tracked}
    known = spoken | within | read | made | counted
    features = load_document(workspace.folder / "features.yaml")
    for feature in workspace.schema.features:
        if feature.name not in known:
            yield warning((features, ("features", feature.name)), "is read by no model, rule or weight")


def _documents(subject: Subject) -> Iterator[Any]:
    """What the files say that use names: all but the declared conditions themselves."""
    yield {key: value for key, value in subject.policies.data.items() if key != "conditions"}
    yield from (document.data for document in subject.workspace.files.documents)
    path = subject.workspace.folder / "experiments.yaml"
    if path.exists():
        yield load_document(path).data


def _texts(data: Any) -> Iterator[str]:
    """Every text and key but those that are for people."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield str(key)
            if key not in PROSE:
                yield from _texts(value)
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)
