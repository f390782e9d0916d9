"""Examples in the OpenAPI document, made from what is live: each can be sent as it stands."""

from copy import deepcopy
from typing import Any

import msgspec
from starlette.datastructures import State

from feature_store.schema import Feature, FeatureType, Source
from service import clock
from service.api.bodies import MAX_DEADLINE_MS, DecisionBody
from service.api.encoding import DecisionEncoder
from service.runtime.service import Service
from service.runtime.tokens import Grant

EXAMPLE_CUSTOMER = "c1"


async def example_answer(service: Service, encoder: DecisionEncoder) -> dict[str, Any]:
    """What the example request is answered, decided for real as a dry run."""
    body = DecisionBody.model_validate(
        {**example_decision(service), "dry_run": True, "deadline_ms": MAX_DEADLINE_MS}
    )
    decision = await service.decider.decide(body.to_request())
    answer: dict[str, Any] = msgspec.json.decode(encoder.encode(decision))
    return answer


def with_examples(document: dict[str, Any], state: State) -> dict[str, Any]:
    """The document with examples of requests for the live catalogue, and of an answer.

    The outcome example carries the token of a dry run, so trying it out counts nothing.
    """
    service, encoder = state.service, state.encoder
    described = deepcopy(document)
    decision = example_decision(service)
    bodies: dict[tuple[str, str], Any] = {
        ("/v1/decisions", "post"): decision,
        ("/v1/decisions/batch", "post"): {"requests": [decision, {**decision, "customer_id": "c2"}]},
        ("/v1/outcomes", "post"): {"token": _dry_run_token(encoder), "outcome": "click"},
        ("/v1/customers/{customer_id}", "put"): {"profile": _profile(service)},
    }
    if service.snapshot.purposes:
        consents = {service.snapshot.purposes[0].name: {decision["channel"]: "granted"}}
        bodies["/v1/customers/{customer_id}/consents", "put"] = {"consents": consents}
    for (path, method), body in bodies.items():
        content = described["paths"][path][method]["requestBody"]["content"]["application/json"]
        content["example"] = body
    answers = described["paths"]["/v1/decisions"]["post"]["responses"]["200"]["content"]
    answers["application/json"]["example"] = state.example_answer
    for path, operations in described["paths"].items():
        if path.startswith("/v1/customers/"):
            for operation in operations.values():
                for parameter in operation["parameters"]:
                    parameter["example"] = EXAMPLE_CUSTOMER
    return described


def example_decision(service: Service, customer_id: str = EXAMPLE_CUSTOMER) -> dict[str, Any]:
    """A request for the first channel of the live catalogue, with a value for each kind of context."""
    context = {f.name: _value(f) for f in service.snapshot.schema.by_source(Source.CONTEXT)[:3]}
    channel = service.snapshot.catalogue.channels[0].name
    return {"customer_id": customer_id, "channel": channel, "context": context}


def _profile(service: Service) -> dict[str, Any]:
    return {f.name: _value(f) for f in service.snapshot.schema.by_source(Source.PROFILE)[:3]}


def _value(feature: Feature) -> object:
    match feature.type:
        case FeatureType.NUMBER:
            return feature.default if feature.default is not None else 1
        case FeatureType.FLAG:
            return True
        case FeatureType.CATEGORY:
            return feature.levels[0]
        case FeatureType.SET:
            return list(feature.members[:1])
        case FeatureType.TIMESTAMP:
            return "2026-01-31T12:00:00Z"


def _dry_run_token(encoder: DecisionEncoder) -> str:
    """A token of an offer that was never made: the live catalogue may have none to make."""
    now = clock.now()
    names: dict[str, Any] = dict.fromkeys(
        ("channel", "placement", "issue", "group", "action", "treatment"), "example"
    )
    return encoder.sign(
        Grant(
            decision_id="00000000-0000-4000-8000-000000000000",
            customer=EXAMPLE_CUSTOMER,
            **names,
            rank=1,
            propensity=0.0,
            selection_probability=1.0,
            decided_at=now,
            expires_at=now + encoder.token_seconds,
            dry_run=True,
        )
    )
