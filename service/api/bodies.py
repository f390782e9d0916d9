"""What the service is sent: bodies of requests, as the OpenAPI document shows them."""

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


class FilesBody(Body):
    """A whole workspace, file by file."""

    files: dict[str, str] = Field(
        description="The text of each file by its path in the workspace, such as `actions/sales.yaml`."
    )
