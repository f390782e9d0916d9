"""Small catalogues and batches for the core, built in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from feature_store.schema import FeatureSchema
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.quantities import Formula
from service.decisioning.rulebook import Rule, RuleBook
from service.decisioning.rules import Compiler, ProgramBuilder
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import Stage

NOW = 1_800_000_000.0

SCHEMA = FeatureSchema.from_definition(
    [
        {"name": "age", "type": "number", "source": "profile"},
        {"name": "intent", "type": "category", "source": "context", "levels": ["browse", "cancel"]},
        {"name": "in_cart", "type": "flag", "source": "context"},
    ]
)

CHANNELS = (
    Channel("web", "inbound", (Placement("hero", 1), Placement("tiles", 3))),
    Channel("email", "outbound", (Placement("lead", 1),)),
)


def book(*rules: tuple[Stage, str, dict[str, tuple[int, ...]]]) -> RuleBook:
    """Rules as (stage, source, what they cover); each is called by its source."""
    compiler, builder = Compiler(SCHEMA), ProgramBuilder()
    found = []
    for stage, source, covered in rules:
        compiled = compiler.flag(source)
        place = builder.true(compiled.node)
        found.append(Rule(stage, source, "", place, source, compiled.features, compiled.reads_now, **covered))
    return RuleBook(builder.build(), tuple(found))


class Expressions:
    """Columns for expressions in CEL, beside no rules."""

    def __init__(self) -> None:
        self._compiler, self._builder = Compiler(SCHEMA), ProgramBuilder()

    def true(self, source: str) -> int:
        """The place of a condition."""
        return self._builder.true(self._compiler.flag(source).node)

    def formula(self, source: str, otherwise: float = 0.0) -> Formula:
        node = self._compiler.number(source).node
        return Formula(self._builder.value(node), otherwise)

    def book(self) -> RuleBook:
        """What computes them."""
        return RuleBook(self._builder.build())


MakeSnapshot = Callable[..., Snapshot]
MakeBatch = Callable[..., Batch]


@pytest.fixture
def make_snapshot() -> MakeSnapshot:
    """A snapshot of the given actions; unless told otherwise each has a treatment in every placement of
    web."""

    def make(
        actions: list[Action], places: dict[str, dict[str, tuple[str, ...]]] | None = None, **parts: Any
    ) -> Snapshot:
        ordered = tuple(sorted(actions, key=lambda action: (action.issue, action.group, action.name)))
        said = places or {action.name: {"web": ("hero", "tiles")} for action in actions}
        treatments = tuple(
            Treatment(f"{action.name}_{channel}", action.name, channel, placements, b"{}")
            for action in ordered
            for channel, placements in said.get(action.name, {}).items()
        )
        priors = np.array([action.propensity or 0.0 for action in ordered], dtype=np.float64)
        return Snapshot(Catalogue(CHANNELS, ordered, treatments, "v1"), SCHEMA, priors, **parts)

    return make


@pytest.fixture
def make_batch() -> MakeBatch:
    """Requests for all placements of web, unless told otherwise; X is missing unless given."""

    def make(
        snapshot: Snapshot,
        n: int = 1,
        *,
        channel: str = "web",
        limits: dict[str, int] | None = None,
        X: NDArray[np.float64] | None = None,
        **columns: Any,
    ) -> Batch:
        catalogue = snapshot.catalogue
        asked = np.zeros((n, len(catalogue.slots)), dtype=np.int32)
        for slot in catalogue.channel_slots[channel]:
            placement = catalogue.slots[slot].placement
            asked[:, slot] = placement.limit if limits is None else limits.get(placement.id, 0)
        return Batch(
            X=np.full((n, SCHEMA.width), np.nan) if X is None else X,
            now=columns.pop("now", np.full(n, NOW)),
            channel=np.full(n, catalogue.channel_index[channel], dtype=np.intp),
            limits=asked,
            scored=columns.pop("scored", np.ones(n, dtype=np.bool_)),
            **columns,
        )

    return make
