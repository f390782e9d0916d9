"""What the service answers, as the OpenAPI document shows it."""

from typing import Any, Literal

from pydantic import (
    BaseModel,
    Field,
)


class NoActionView(BaseModel):
    reason: str
    stage: str


class OfferView(BaseModel):
    name: str
    terms: dict[str, str | bool | int | float] = Field(description="The same in every channel.")
    valid_until: str = Field(description="The customer can rely on the terms before it.")


class BundleView(BaseModel):
    name: str
    position: int


class ActionView(BaseModel):
    rank: int
    issue: str
    group: str
    action: str
    treatment: str
    propensity: float
    context_weight: float
    value: float
    lever: float
    priority: float
    selection_probability: float
    bundle: BundleView | None = Field(description="The bundle that it stands in; null for none.")
    offer: OfferView | None = Field(description="On which terms; null for an action without offers.")
    content: dict[str, Any]
    token: str
    reasons: list[str] | None = Field(
        None,
        description="What speaks for it, in words of the treatment, the strongest first. "
        "Only where the request asks for an explanation.",
    )


class PlacementView(BaseModel):
    id: str
    actions: list[ActionView]
    no_action: NoActionView | None


class BreakEvenView(BaseModel):
    """What would have been just enough for a candidate that lost, all else being as it is."""

    priority: float = Field(description="What it has to exceed; at exactly this, ties decide.")
    beats: str | None = Field(description="Whose place it would take; null where one is free.")
    placement: str
    lever: float | None = Field(description="What L would have to be; null here and below: nothing would do.")
    lever_percent: float | None = Field(description="What has to be added to the levers, in percent.")
    value: float | None = Field(description="What V would have to be, before scaling.")
    context_weight: float | None
    propensity: float | None


class DrawView(BaseModel):
    """A turn in which chance had a say."""

    placement: str
    rank: int
    probability: float = Field(description="With which it was chosen, or would have been.")
    propensity: float | None = Field(description="The drawn one that it competed with; null for none.")
    best: bool = Field(description="It had the highest priority of who took part.")
    chosen: bool


class ContributionView(BaseModel):
    feature: str = Field(description="A feature; a member of a set as `products=fibre_500`.")
    value: Any = Field(description="The customer's; null is missing.")
    added: float = Field(description="What it adds to the log-odds of a response.")


class CapView(BaseModel):
    """A contact policy that holds, a cap, a pause or quiet hours; or a volume limit."""

    name: str
    kind: str
    count: int | None = Field(description="What it has counted; null where that can't be known.")
    at_most: int | None
    within: str | None = Field(description="The time in which it counts: 7d, or hour, day, campaign.")
    next_free: str | None = Field(
        description="When no contact policy holds the action back any more, if nothing else happens."
    )


class WorthView(BaseModel):
    business: float
    customer: float
    raw: float = Field(description="Both together, before it is scaled.")
    assumed: bool = Field(description="Whether a declared number stands in for one that is not known.")


class CandidateView(BaseModel):
    issue: str
    group: str
    action: str
    stage: str | None = Field(description="The stage that took it out; null for a chosen action.")
    rule: str | None
    meaning: str | None
    source: str | None = Field(description="The rule as the workspace has it; null for a built-in one.")
    observed: dict[str, Any] | None = Field(description="What the rule read; null is missing.")
    cap: CapView | None = Field(description="The contact policy that took it out; null for anything else.")
    propensity: float | None
    predicted: float | None = Field(
        description="What its model says, where propensities follow outcomes; null where they do not."
    )
    correction: float | None = Field(description="By which that was multiplied after the last outcomes.")
    context_weight: float | None
    value: float | None
    lever: float | None
    priority: float | None
    break_even: BreakEvenView | None = Field(
        description="Of a candidate that lost; null where no priority would have been enough."
    )
    worth: WorthView | None = Field(
        description="What the value is made of; null where it is that to the business as it stands."
    )
    mandatory: bool = Field(description="Whether it comes before all priorities.")
    draws: list[DrawView] | None = Field(
        description="Of the likely candidates, where choices are left to chance."
    )
    contributions: list[ContributionView] | None = Field(
        description="What moved the model for a chosen action, the strongest first; null for the others."
    )
    reasons: list[str] | None = Field(description="What speaks for a chosen action, in words.")


class VersionsView(BaseModel):
    catalogue: str
    features: str
    models: dict[str, str]


class TimingsView(BaseModel):
    features: float
    scoring: float
    total: float


class DecisionView(BaseModel):
    """The next best actions, placement by placement."""

    decision_id: str
    customer_id: str | None
    anonymous_id: str | None
    channel: str
    placements: list[PlacementView]
    arm: str = Field(description="`experiment.arm` of the first experiment; else next_best_action.")
    experiments: dict[str, str] = Field(description="The arm of each experiment that the customer is in.")
    mode: Literal["full", "degraded", "fallback"]
    degraded: list[str]
    warnings: list[str]
    versions: VersionsView
    timings_ms: TimingsView
    explanation: list[CandidateView] | None = Field(None, description="Only where the request asks for it.")


class FaultView(BaseModel):
    path: str
    message: str


class ProblemView(BaseModel):
    """Every error, by RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultView] = []


class DecisionBatchView(BaseModel):
    decisions: list[DecisionView | ProblemView]


class ReceiptView(BaseModel):
    accepted: int
    duplicates: int
    dry_run: int


class EventReceiptView(BaseModel):
    accepted: int
    duplicates: int
    warnings: list[str]


class ConsentView(BaseModel):
    state: Literal["granted", "denied"]
    at: str


class KeptOfferView(BaseModel):
    action: str
    name: str
    terms: dict[str, str | bool | int | float]
    valid_until: str
    made_at: str
    channel: str
    decision_id: str


class CustomerView(BaseModel):
    customer_id: str
    account_id: str | None
    profile: dict[str, Any]
    behaviour: dict[str, Any]
    derived: dict[str, Any] = Field(
        description="Scores and segments as they are now, without the context of a request."
    )
    updated_at: str | None
    consents: dict[str, dict[str, ConsentView]]
    offers: list[KeptOfferView] = Field(description="What the customer was offered and can still rely on.")
    history: list[dict[str, Any]]


class FindingView(BaseModel):
    """Something to mend in a file; lines and columns count from 1, 0 is not known."""

    file: str
    line: int
    column: int
    path: str = Field(description="The keys that lead there, with dots.")
    message: str


class CheckedView(BaseModel):
    """What would be wrong with a workspace."""

    valid: bool = Field(description="Whether a reload would take it: there are no errors.")
    version: str | None = Field(description="The version that it would serve as; null with errors.")
    errors: list[FindingView]
    warnings: list[FindingView] = Field(description="What is allowed and hardly meant.")
    ignored: list[str] = Field(description="Files that are none of a workspace.")
