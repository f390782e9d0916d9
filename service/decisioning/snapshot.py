"""Everything that a decision reads, compiled ahead and immutable: swapped by one assignment, rolled back by
another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import Feature, FeatureSchema, Source
from models.layout import Layout
from models.scorers import Scorer
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Catalogue
from service.decisioning.consent import Purpose
from service.decisioning.rulebook import RuleBook
from service.decisioning.rules.program import Program
from service.decisioning.stages import BUILT_IN_REMOVALS, STAGES, Removal, Stage
from service.decisioning.treatments import Alternatives


@dataclass(frozen=True, slots=True)
class BoundModel:
    """A propensity model bound to the live schema and catalogue.

    layout          how the model's rows are made of X
    action_codes    A  the model's code of each action, NaN for one that it has never seen
    channel_codes   C  likewise for channels
    actions         A  True for the actions that this model scores
    """

    name: str
    version: str
    scorer: Scorer
    layout: Layout
    action_codes: NDArray[np.float64]
    channel_codes: NDArray[np.float64]
    actions: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule of one stage over some actions (A, bool): a request that it does not allow (n, bool) loses
    them."""

    stage: Stage
    name: str
    meaning: str
    actions: NDArray[np.bool_]
    allows: Callable[[Batch], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class ContextWeight:
    """`percent` more (or less) weight for some actions (A, bool) where every (column of X, value) pair
    holds."""

    when: tuple[tuple[int, float], ...]
    actions: NDArray[np.bool_]
    percent: float


@dataclass(frozen=True, slots=True)
class Arbitration:
    """The switch of each factor of the priority; one that is off counts as 1. Context weights feed C."""

    propensity: bool = True
    context_weight: bool = True
    value: bool = True
    lever: bool = True
    context_weights: tuple[ContextWeight, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """One version of the whole configuration. `priors` (A) are the propensities used where no model
    speaks."""

    catalogue: Catalogue
    schema: FeatureSchema
    priors: NDArray[np.float64]
    models: tuple[BoundModel, ...] = ()
    policies: tuple[Policy, ...] = ()
    arbitration: Arbitration = field(default_factory=Arbitration)
    rules: RuleBook = field(default_factory=lambda: RuleBook(Program(())))
    purposes: tuple[Purpose, ...] = ()
    stopped: NDArray[np.bool_] | None = None
    """A: the actions of the emergency exclusion; None where it is empty."""

    @cached_property
    def rulebook(self) -> RuleBook:
        """The rules, with codes that follow those of the policies."""
        return replace(self.rules, first_code=1 + len(BUILT_IN_REMOVALS) + len(self.policies))

    @cached_property
    def coded_purposes(self) -> tuple[tuple[int, Purpose], ...]:
        """The purposes that need consent, with codes that follow those of the rules."""
        first = self.rulebook.first_code + len(self.rulebook.rules)
        return tuple(enumerate(self.purposes, start=first))

    @cached_property
    def alternatives(self) -> Alternatives | None:
        """Where rules may take out treatments; None where no treatment has rules."""
        table = self.rulebook.of_treatments
        return None if table is None else Alternatives.of(self.catalogue, table.subjects)

    @cached_property
    def removals(self) -> tuple[Removal | None, ...]:
        """What each code of `removed_by` means; 0 is still in. Policies follow the built-in codes, then
        rules, then purposes of consent, each in their order."""
        return (
            None,
            *(BUILT_IN_REMOVALS[code] for code in sorted(BUILT_IN_REMOVALS)),
            *(Removal(policy.stage, policy.name, policy.meaning) for policy in self.policies),
            *(rule.removal for rule in self.rulebook.rules),
            *(purpose.removal for purpose in self.purposes),
        )

    @cached_property
    def policies_by_stage(self) -> Mapping[Stage, tuple[tuple[int, Policy], ...]]:
        """The policies of each stage with their codes."""
        first = 1 + len(BUILT_IN_REMOVALS)
        coded = tuple(enumerate(self.policies, start=first))
        return {stage: tuple(pair for pair in coded if pair[1].stage is stage) for stage in STAGES}

    @cached_property
    def removal_stages(self) -> NDArray[np.intp]:
        """The index into STAGES of each code of `removed_by`; a candidate still in counts as in the last
        stage."""
        last = len(STAGES) - 1
        return np.array(
            [last if removal is None else STAGES.index(removal.stage) for removal in self.removals],
            dtype=np.intp,
        )

    @cached_property
    def context_features(self) -> Mapping[str, Feature]:
        """The features that a request may give, by name."""
        return {feature.name: feature for feature in self.schema.by_source(Source.CONTEXT)}

    @cached_property
    def versions(self) -> dict[str, object]:
        """What every decision is stamped with."""
        return {
            "catalogue": self.catalogue.version,
            "features": self.schema.fingerprint,
            "models": {model.name: model.version for model in self.models},
        }
