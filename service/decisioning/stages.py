"""The stages that narrow the candidates, in order, and the reasons they give.

A candidate that is out carries the code of the `Removal` that took it out, so the explanation of every
candidate is there when the decision is, at no cost and without side effects.
"""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The funnel, in the order in which it runs."""

    AVAILABILITY = "availability"
    CHANNEL = "channel"
    ELIGIBILITY = "eligibility"
    APPLICABILITY = "applicability"
    SUITABILITY = "suitability"
    CONSENT = "consent"
    CONTACT_POLICY = "contact_policy"
    PROPENSITY = "propensity"
    TREATMENT = "treatment"
    ARBITRATION = "arbitration"
    SLATE = "slate"


STAGES: tuple[Stage, ...] = tuple(Stage)


@dataclass(frozen=True, slots=True)
class Removal:
    """Why a candidate is out: the stage, the name of the rule, and its meaning in words. A rule of the
    workspace has its source and the features that it reads, a consent its purpose. `no_action` is the
    reason that a placement gives which stays empty because of it; without one, that of its stage."""

    stage: Stage
    rule: str
    meaning: str
    source: str | None = None
    features: tuple[str, ...] = ()
    reads_now: bool = False
    purpose: str | None = None
    no_action: str | None = None


STILL_IN = 0
INACTIVE, NOT_STARTED, ENDED, EXCLUDED, NOT_IN_CHANNEL, NOT_IN_PLACEMENT, OUTRANKED, EMERGENCY = range(1, 9)
FALLBACK_NOT_NEEDED, DO_NOTHING = 9, 10

BUILT_IN_REMOVALS: dict[int, Removal] = {
    EMERGENCY: Removal(
        Stage.AVAILABILITY, "emergency_exclusion", "the action was stopped by the emergency exclusion"
    ),
    INACTIVE: Removal(Stage.AVAILABILITY, "inactive", "the action is switched off"),
    NOT_STARTED: Removal(Stage.AVAILABILITY, "not_started", "the action's start date has not come"),
    ENDED: Removal(Stage.AVAILABILITY, "ended", "the action's end date has passed"),
    EXCLUDED: Removal(Stage.AVAILABILITY, "excluded", "the request excludes the action"),
    NOT_IN_CHANNEL: Removal(Stage.CHANNEL, "not_in_channel", "the action has no treatment in the channel"),
    NOT_IN_PLACEMENT: Removal(
        Stage.TREATMENT, "not_in_placement", "the action has no treatment in the placements asked for"
    ),
    DO_NOTHING: Removal(
        Stage.ARBITRATION,
        "do_nothing",
        "doing nothing is better: the priority does not exceed the cost of a contact in the channel",
        no_action="doing_nothing_is_better",
    ),
    OUTRANKED: Removal(
        Stage.SLATE, "outranked", "other actions with a higher priority filled the placements"
    ),
    FALLBACK_NOT_NEEDED: Removal(
        Stage.SLATE, "fallback_not_needed", "the action is a fallback, and no placement of it stayed empty"
    ),
}


@dataclass(frozen=True, slots=True)
class NoAction:
    """Why a placement stays empty: the stage that took out its last candidates."""

    reason: str
    stage: Stage


NO_ACTION: dict[Stage, NoAction] = {
    Stage.AVAILABILITY: NoAction("nothing_available", Stage.AVAILABILITY),
    Stage.CHANNEL: NoAction("nothing_in_channel", Stage.CHANNEL),
    Stage.ELIGIBILITY: NoAction("nothing_eligible", Stage.ELIGIBILITY),
    Stage.APPLICABILITY: NoAction("nothing_applicable", Stage.APPLICABILITY),
    Stage.SUITABILITY: NoAction("nothing_suitable", Stage.SUITABILITY),
    Stage.CONSENT: NoAction("no_consent", Stage.CONSENT),
    Stage.CONTACT_POLICY: NoAction("contact_limit_reached", Stage.CONTACT_POLICY),
    Stage.PROPENSITY: NoAction("propensity_too_low", Stage.PROPENSITY),
    Stage.TREATMENT: NoAction("no_treatment", Stage.TREATMENT),
    Stage.ARBITRATION: NoAction("priority_too_low", Stage.ARBITRATION),
    Stage.SLATE: NoAction("all_placed_elsewhere", Stage.SLATE),
}

NO_ACTION_MEANINGS: dict[Stage, str] = {
    Stage.AVAILABILITY: "every action of the placement is off, out of its dates or excluded by the request",
    Stage.CHANNEL: "no action has a treatment in the channel",
    Stage.ELIGIBILITY: "the customer may have none of the actions",
    Stage.APPLICABILITY: "none of the actions is relevant now",
    Stage.SUITABILITY: "none of the actions is right for the customer",
    Stage.CONSENT: "the customer has not agreed to be contacted with any of the actions",
    Stage.CONTACT_POLICY: "the contact policy lets no action through at this time",
    Stage.PROPENSITY: "no action reaches the least propensity",
    Stage.TREATMENT: "no action has a treatment for the placement",
    Stage.ARBITRATION: "no action reaches the least priority",
    Stage.SLATE: "every candidate of the placement is already shown in another placement of the answer",
}

NO_ACTION_BY_RULE: dict[str, str] = {
    "doing_nothing_is_better": "no action has a priority above the cost of a contact in the channel",
    "volume_limit_reached": "a volume limit is reached, and lets no action through until more is free",
    "answer_limit_reached": "a limit of the slate lets no other action into the answer",
    "control_group": "an experiment withholds the actions from the control group that the customer is in",
    "bundle_incomplete": "the actions of a bundle can't stand together in the placement",
}
"""Reasons that follow a rule rather than a stage: `Removal.no_action`, with their meanings."""
