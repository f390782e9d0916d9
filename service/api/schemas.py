"""What goes over the wire: request and response bodies, as the OpenAPI document shows them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import ErrorDetails

from feature_store.keys import ANONYMOUS_PREFIX
from service.runtime.event_reports import EventReport
from service.runtime.requests import DecisionRequest, PlacementRequest


def _is_no_visitor(customer_id: str) -> str:
    """Visitors live beside customers: no customer_id may look like one of them."""
    if customer_id.startswith(ANONYMOUS_PREFIX):
        raise ValueError(f"must not begin with '{ANONYMOUS_PREFIX}': send anonymous_id for a visitor")
    return customer_id


Id = Annotated[str, StringConstraints(min_length=1, max_length=128)]
CustomerId = Annotated[Id, AfterValidator(_is_no_visitor)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MAX_BATCH = 1000
MAX_DEADLINE_MS = 60_000


def _written(value: object) -> object:
    """A row of a list is checked by itself, and no more as JSON: there a text is no time to who is strict."""
    if isinstance(value, str):
        return value
    raise ValueError("must be a time such as 2026-01-31T12:00:00Z")


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written)]


class Body(BaseModel):
    """A request body: what is not in the contract is an error, so that a typing error is not silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PlacementBody(Body):
    id: Label
    limit: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Default: the placement's own."
    )


class EventFields(Body):
    """An event, of whoever is named beside it."""

    message_id: Id = Field(description="The same id counts once for a customer.")
    type: Literal["track", "identify", "alias"]
    event: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="The name of what was tracked."
    )
    customer_id: CustomerId | None = None
    anonymous_id: Id | None = None
    properties: dict[str, Any] = Field(default_factory=dict, description="What more there is to say of it.")
    traits: dict[str, Any] = Field(
        default_factory=dict, description="Of who is identified: features of the profile."
    )
    timestamp: Moment | None = Field(None, description="When it happened. Default: now.")
    sent_at: Moment | None = Field(
        None, description="When it was sent, by the clock of `timestamp`: its error is taken out by it."
    )

    @model_validator(mode="after")
    def _fits_its_type(self) -> "EventFields":
        if self.type == "track" and self.event is None:
            raise ValueError("event is required: the name of what was tracked")
        if self.type != "track" and self.event is not None:
            raise ValueError(f"event is the name of what was tracked, and this is of type {self.type}")
        if self.type != "identify" and self.traits:
            raise ValueError(f"traits are of who is identified, and this is of type {self.type}")
        if self.type == "alias" and (self.customer_id is None or self.anonymous_id is None):
            raise ValueError("customer_id and anonymous_id are required: who the visitor is")
        return self

    def to_report(self) -> EventReport:
        """The event in the runtime's terms. What an identify has as properties are traits, too."""
        identifies = self.type == "identify"
        return EventReport(
            message_id=self.message_id,
            type=self.type,
            event=self.event or "",
            customer_id=self.customer_id,
            anonymous_id=self.anonymous_id,
            properties={} if identifies else self.properties,
            traits=self.properties | self.traits if identifies else {},
            timestamp=self.timestamp,
            sent_at=self.sent_at,
        )


class DecisionBody(Body):
    """One question: what now, for this customer, here?"""

    customer_id: CustomerId | None = Field(None, description="The customer; or `anonymous_id`.")
    anonymous_id: Id | None = Field(None, description="A visitor who is not known yet.")
    channel: Label = Field(description="A channel of the catalogue.")
    placements: Annotated[list[PlacementBody], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Default: all placements of the channel."
    )
    context: dict[str, Any] = Field(
        default_factory=dict, description="Values of the declared context features."
    )
    account_id: Id | None = Field(
        None, description="The company or household. Default: the one that is stored with the customer."
    )
    events: Annotated[list[EventFields], Field(max_length=MAX_BATCH)] = Field(
        default_factory=list,
        description="Applied before deciding, and counted once, like those of `POST /v1/events`; of this "
        "customer, where they name nobody.",
    )
    exclude: Annotated[list[Label], Field(max_length=MAX_BATCH)] = Field(
        default_factory=list, description="Actions not to offer."
    )
    explain: Literal["none", "factors", "full"] = Field(
        "none",
        description="`factors`: the candidates that reached arbitration. "
        "`full`: every action of the catalogue, with the stage and the rule that took it out.",
    )
    dry_run: bool = Field(False, description="Count nothing, reserve nothing, log nothing.")
    deadline_ms: Annotated[float, Field(gt=0, le=MAX_DEADLINE_MS)] | None = Field(
        None, description="Answer by then, with what is known. Default: the service's setting."
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> "DecisionBody":
        if self.customer_id is None and self.anonymous_id is None:
            raise ValueError("customer_id or anonymous_id is required")
        return self

    def to_request(self) -> DecisionRequest:
        """The question in the runtime's terms."""
        placements = None
        if self.placements is not None:
            placements = tuple(PlacementRequest(p.id, p.limit) for p in self.placements)
        return DecisionRequest(
            channel=self.channel,
            customer_id=self.customer_id,
            anonymous_id=self.anonymous_id,
            account_id=self.account_id,
            placements=placements,
            context=self.context,
            exclude=tuple(self.exclude),
            explain=self.explain,
            dry_run=self.dry_run,
            deadline_ms=self.deadline_ms,
            events=tuple([event.to_report() for event in self.events]),
        )


class DecisionBatchBody(Body):
    """Up to 1,000 questions. Each is checked by itself: a bad one does not spoil the others."""

    requests: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH)] = Field(
        description="Bodies of `POST /v1/decisions`."
    )


class OutcomeBody(Body):
    """What happened to an action that was offered."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="The token of the offered action, unchanged."
    )
    outcome: Label = Field(
        description="impression, click, accept, reject, convert, dismiss, no_response, or one "
        "that the catalogue declares."
    )
    value: Annotated[float, Field(allow_inf_nan=False)] | None = Field(None, description="What it was worth.")
    occurred_at: Moment | None = Field(None, description="When it happened. Default: now.")
    outcome_id: Id | None = Field(
        None, description="The same id counts once for a customer. Default: token and outcome together."
    )


class EventBody(EventFields):
    """What a customer or a visitor did, in the shape of the Segment spec."""

    @model_validator(mode="after")
    def _names_somebody(self) -> "EventBody":
        if self.customer_id is None and self.anonymous_id is None:
            raise ValueError("customer_id or anonymous_id is required")
        return self


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row of a list that does not fit, and why."""

    errors: list[ErrorDetails]


def _or_misfit(row: object, fit: ValidatorFunctionWrapHandler) -> Any:
    try:
        return fit(row)
    except ValidationError as error:
        return Misfit(error.errors(include_url=False, include_input=False, include_context=False))


OutcomeBodies = Annotated[
    list[Annotated[OutcomeBody, WrapValidator(_or_misfit)]], Field(min_length=1, max_length=MAX_BATCH)
]
"""Up to 1,000 outcomes. Each is checked by itself: one that does not fit is a `Misfit` in its place."""


EventBodies = Annotated[
    list[Annotated[EventBody, WrapValidator(_or_misfit)]], Field(min_length=1, max_length=MAX_BATCH)
]
"""Up to 1,000 events; like `OutcomeBodies`."""


class CustomerBody(Body):
    """A partial profile: features that are not named stay as they are, null makes one missing."""

    account_id: Id | None = None
    profile: dict[str, Any] = Field(default_factory=dict)


class ConsentsBody(Body):
    """Consents by purpose and channel; those that are not named stay as they are."""

    consents: Annotated[
        dict[Label, Annotated[dict[Label, Literal["granted", "denied"] | None], Field(min_length=1)]],
        Field(min_length=1, max_length=100),
    ] = Field(description="`granted` or `denied`; null takes back what was said.")


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


class FilesBody(Body):
    """A whole workspace, file by file."""

    files: dict[str, str] = Field(
        description="The text of each file by its path in the workspace, such as `actions/sales.yaml`."
    )


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
