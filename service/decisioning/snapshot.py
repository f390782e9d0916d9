"""Everything that a decision reads, compiled ahead and immutable: swapped by one assignment, rolled back by
another."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from feature_store.schema import Feature, FeatureSchema, Source
from service.decisioning.adaptation import Adaptation, positives
from service.decisioning.arbitration import Arbitration
from service.decisioning.barriers import Barrier, Threshold
from service.decisioning.catalogue import ALWAYS_BEGUN, NEVER_ENDS, Catalogue
from service.decisioning.conduct import Conduct
from service.decisioning.consent import Purpose
from service.decisioning.contact import Contact
from service.decisioning.derived import BoundCustomerModel, Derived
from service.decisioning.experiments import Experiments
from service.decisioning.exploration import Exploration, ways_of
from service.decisioning.offers import OfferBook
from service.decisioning.rulebook import RuleBook
from service.decisioning.rules.program import Program
from service.decisioning.scoring import BoundModel, Scoring
from service.decisioning.shadows import Shadow
from service.decisioning.slate_policy import SlatePolicy
from service.decisioning.slate_rules import SlateRules
from service.decisioning.stages import (
    BUILT_IN_REMOVALS,
    DO_NOTHING,
    EMERGENCY,
    FALLBACK_NOT_NEEDED,
    INACTIVE,
    NO_ACTION,
    NOT_IN_CHANNEL,
    NOT_IN_PLACEMENT,
    OUTRANKED,
    STAGES,
    STILL_IN,
    NoAction,
    Removal,
    Stage,
)
from service.decisioning.treatments import Alternatives
from service.decisioning.turns import Reasons, Ways
from service.decisioning.volumes import VolumeLimit
from service.decisioning.wording import Wording


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One version of the whole configuration.

    priors    A  the propensities used where no model speaks
    evidence  A  how many positives are known of each action, declared or by its model; None: of none
    """

    catalogue: Catalogue
    schema: FeatureSchema
    priors: NDArray[np.float64]
    models: tuple[BoundModel, ...] = ()
    derived: Derived = field(default_factory=Derived)
    rules: RuleBook = field(default_factory=lambda: RuleBook(Program()))
    purposes: tuple[Purpose, ...] = ()
    contact: Contact = field(default_factory=Contact)
    arbitration: Arbitration = field(default_factory=Arbitration)
    exploration: Exploration = field(default_factory=Exploration)
    experiments: Experiments = field(default_factory=Experiments)
    volumes: tuple[VolumeLimit, ...] = ()
    offers: OfferBook = field(default_factory=OfferBook)
    evidence: NDArray[np.float64] | None = None
    slate_policy: SlatePolicy = field(default_factory=SlatePolicy)
    adaptation: Adaptation | None = None
    """What follows outcomes; None: nothing does."""
    stopped: NDArray[np.bool_] | None = None
    """A: the actions of the emergency exclusion; None where it is empty."""
    wordings: tuple[tuple[Wording, ...], ...] = ()
    """The words for reasons of each treatment; empty where the workspace has none."""
    shadows: tuple[Shadow, ...] = ()
    """What scores beside the models. No decision depends on it."""

    @cached_property
    def conduct(self) -> Conduct:
        """How is decided where no experiment says otherwise."""
        return Conduct(self.arbitration, self.exploration)

    @cached_property
    def _conducts(self) -> tuple[Conduct, ...]:
        """Every way in which somebody is decided for."""
        return (self.conduct, *self.experiments.conducts)

    @cached_property
    def leaves_to_chance(self) -> bool:
        """Whether anybody's choices are drawn, so that a batch needs seeds."""
        return any(conduct.exploration.method != "none" for conduct in self._conducts)

    @cached_property
    def explorations(self) -> Mapping[Exploration, int]:
        """Those of every conduct, each with its place among the `ways`. The first is to take the best."""
        found = dict.fromkeys((Exploration(), *(conduct.exploration for conduct in self._conducts)))
        return {exploration: number for number, exploration in enumerate(found)}

    @cached_property
    def way_of_conduct(self) -> NDArray[np.intp]:
        """The way in which each conduct explores, that of everybody first, then those of arms."""
        return np.array([self.explorations[conduct.exploration] for conduct in self._conducts], np.intp)

    @cached_property
    def ways(self) -> Ways:
        """The explorations as columns."""
        return ways_of(list(self.explorations), self.catalogue.action_keys, self.trained)

    @property
    def trained(self) -> NDArray[np.float64]:
        """A: how many positives are known of each action before any outcome."""
        return np.zeros(len(self.catalogue.actions)) if self.evidence is None else self.evidence

    def ways_knowing(self, known: NDArray[np.int8]) -> Ways:
        """The explorations by what is known of each action (A) with the last outcomes: made at the first
        use, for outcomes seldom change it by a step."""
        return self._ways_by_known(known.tobytes())

    @cached_property
    def _ways_by_known(self) -> Callable[[bytes], Ways]:
        def made(known: bytes) -> Ways:
            evidence = positives(np.frombuffer(known, np.int8))
            return ways_of(list(self.explorations), self.catalogue.action_keys, evidence)

        return lru_cache(maxsize=2)(made)

    @property
    def all_models(self) -> tuple[BoundModel | BoundCustomerModel, ...]:
        """The models of responses, and those of derived features."""
        return (*self.models, *self.derived.models)

    @cached_property
    def scoring(self) -> Scoring:
        """How the models score."""
        return Scoring.of(self.models, self.schema, len(self.catalogue.actions))

    @cached_property
    def thresholds(self) -> tuple[Threshold, ...]:
        """Those of every conduct, each once."""
        return tuple(barrier for barrier in self._barriers if isinstance(barrier, Threshold))

    @cached_property
    def barrier_codes(self) -> Mapping[Barrier, int]:
        """What each barrier leaves in `removed_by`."""
        numbers = {threshold: number for number, threshold in enumerate(self.thresholds)}
        first = self.first_code("thresholds")
        return {
            barrier: first + numbers[barrier] if isinstance(barrier, Threshold) else DO_NOTHING
            for barrier in self._barriers
        }

    @cached_property
    def _barriers(self) -> tuple[Barrier, ...]:
        return tuple(dict.fromkeys(b for conduct in self._conducts for b in conduct.arbitration.barriers))

    @cached_property
    def removals(self) -> tuple[Removal | None, ...]:
        """What each code of `removed_by` means; 0 is still in."""
        return (None, *(removal for block in self._blocks.values() for removal in block))

    def first_code(self, block: str) -> int:
        """The code of the first removal of a block; the others follow in their order."""
        return self._first_codes[block]

    @cached_property
    def _blocks(self) -> Mapping[str, tuple[Removal, ...]]:
        """Everything that can take out a candidate."""
        return {
            "built_in": tuple(BUILT_IN_REMOVALS[code] for code in sorted(BUILT_IN_REMOVALS)),
            "rules": tuple(rule.removal for rule in self.rules.rules),
            "purposes": tuple(purpose.removal for purpose in self.purposes),
            "contact": self.contact.removals,
            "caps": self.contact.answer_removals,
            "volumes": tuple(limit.removal for limit in self.volumes),
            "experiments": self.experiments.removals,
            "offers": self.offers.removals,
            "slate": self.slate_policy.removals,
            "thresholds": tuple(threshold.removal for threshold in self.thresholds),
        }

    @cached_property
    def _first_codes(self) -> Mapping[str, int]:
        sizes = [len(block) for block in self._blocks.values()]
        return dict(zip(self._blocks, accumulate(sizes, initial=1), strict=False))

    @cached_property
    def rulebook(self) -> RuleBook:
        """The rules with their codes."""
        return replace(self.rules, first_code=self.first_code("rules"))

    @cached_property
    def opening(self) -> NDArray[np.int32]:
        """C x A: what `removed_by` is for the requests of a channel before their time and exclusions: who is
        stopped, switched off or has nothing to say in the channel is out."""
        catalogue = self.catalogue
        opening = np.where(catalogue.channel_actions, STILL_IN, NOT_IN_CHANNEL).astype(np.int32)
        opening[:, ~catalogue.active] = INACTIVE
        if self.stopped is not None:
            opening[:, self.stopped] = EMERGENCY
        return opening

    @cached_property
    def dated(self) -> NDArray[np.intp]:
        """The actions that begin or end, unless they are out anyway."""
        catalogue = self.catalogue
        found = catalogue.active & ((catalogue.starts > ALWAYS_BEGUN) | (catalogue.ends < NEVER_ENDS))
        return np.flatnonzero(found if self.stopped is None else found & ~self.stopped)

    @cached_property
    def coded_purposes(self) -> tuple[tuple[int, Purpose], ...]:
        """The purposes that need consent, with their codes."""
        return tuple(enumerate(self.purposes, start=self.first_code("purposes")))

    @cached_property
    def volume_actions(self) -> NDArray[np.bool_]:
        """V x A: the actions that each volume limit counts. Their removals are the block `volumes`."""
        shape = len(self.volumes), len(self.catalogue.actions)
        return np.array([limit.actions for limit in self.volumes], dtype=np.bool_).reshape(shape)

    @cached_property
    def slate_rules(self) -> SlateRules:
        """The policy of the slate and the volume limits, with their codes."""
        return SlateRules.of(
            self.slate_policy,
            self.first_code("slate"),
            self.volume_actions,
            self.first_code("volumes"),
            len(self.catalogue.channels),
        )

    @cached_property
    def alternatives(self) -> Alternatives | None:
        """Where rules and contact policies may take out treatments; None where none does."""
        ruled = np.union1d(self.rulebook.of_treatments.subjects, self.contact.of_treatments)
        return Alternatives.of(self.catalogue, ruled) if ruled.size else None

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
    def slate_reasons(self) -> Reasons:
        """Why candidates are not chosen, and slots stay empty: who was kept out in the last stage says more
        than who is placed elsewhere, and who was worth less than doing nothing had passed the thresholds."""
        codes = np.arange(len(self.removal_stages))
        progress = 3 * self.removal_stages + (codes != STILL_IN) + (codes == DO_NOTHING)
        return Reasons(OUTRANKED, FALLBACK_NOT_NEEDED, NOT_IN_PLACEMENT, progress)

    @cached_property
    def eligible(self) -> NDArray[np.bool_]:
        """Of each code of `removed_by` whether it leaves in, or takes out after the eligibility."""
        return self.removal_stages > STAGES.index(Stage.ELIGIBILITY)

    @cached_property
    def no_actions(self) -> tuple[NoAction, ...]:
        """Why a placement stays empty whose last candidate went by each code of `removed_by`; by 0, to
        another placement of the answer."""
        found = [NO_ACTION[Stage.SLATE]]
        for removal in self.removals:
            if removal is not None:
                reason = removal.no_action or NO_ACTION[removal.stage].reason
                found.append(NoAction(reason, removal.stage))
        return tuple(found)

    @cached_property
    def context_features(self) -> Mapping[str, Feature]:
        """The features that a request may give, by name."""
        return {feature.name: feature for feature in self.schema.by_source(Source.CONTEXT)}

    @cached_property
    def version(self) -> str:
        """Of everything that decides together: catalogue, features and models."""
        return hashlib.blake2b(repr(self.versions).encode(), digest_size=8).hexdigest()

    @cached_property
    def model_versions(self) -> dict[str, str]:
        """That of each model, by its name."""
        return {model.name: model.version for model in self.all_models}

    @cached_property
    def versions(self) -> dict[str, object]:
        """What every decision is stamped with."""
        return {
            "catalogue": self.catalogue.version,
            "features": self.schema.fingerprint,
            "models": self.model_versions,
        }
