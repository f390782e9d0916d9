"""`/v1/decisions`: what now, for this customer, here?"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from service.api.bodies import DecisionBatchBody, DecisionBody
from service.api.desk import BODY, PATH
from service.api.encoding import encode
from service.api.problems import OVERLOADED, Problem, faults_of, invalid_body
from service.api.routes import Encoded, RawBodyRoute
from service.api.views import DecisionBatchView, DecisionView, ProblemView
from service.runtime.batching import Overloaded
from service.runtime.decision import Decision
from service.runtime.faults import Fault
from service.runtime.requests import DecisionRequest

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemView, "description": text}
    for code, text in {
        400: "The body is not JSON.",
        413: "The body is too large.",
        415: "The body is said to be something else than JSON.",
        422: "The body does not fit; `errors` has every fault with its path.",
        503: "The service or its store can't take this now; `Retry-After` says when.",
    }.items()
}

ENCODED_AT_ONCE = 32
"""After so many answers of a batch the other requests get a turn; after each that is explained."""
MAX_EXPLAINED = 20_000
"""How many candidates one batch may explain: an explanation is some 600 bytes long."""

router = APIRouter(prefix=PATH, tags=["decisions"], route_class=RawBodyRoute)


@router.post(
    "", response_model=DecisionView, responses=PROBLEMS, summary="The next best actions of a customer"
)
async def decide(request: Request, body: DecisionBody) -> Response:
    """Fills the placements of a channel with the best actions for one customer."""
    answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    request.app.state.desk.ask(body, answer)
    return await answer


@router.post(
    "/batch",
    response_model=DecisionBatchView,
    responses=PROBLEMS,
    summary="The next best actions of up to 1,000 customers",
)
async def decide_batch(request: Request, body: DecisionBatchBody) -> Response:
    """Answers in the order of the requests; a bad one gets its own problem in its place."""
    service = request.app.state.service
    asked = [_request(index, raw) for index, raw in enumerate(body.requests)]
    good = [entry for entry in asked if isinstance(entry, DecisionRequest)]
    explained = sum(entry.explain != "none" for entry in good) * len(service.snapshot.catalogue.actions)
    if explained > MAX_EXPLAINED:
        message = f"may explain {MAX_EXPLAINED:,} candidates in one answer, not {explained:,}: ask for fewer"
        raise invalid_body([Fault("requests", message)])
    try:
        decided = iter(await service.decider.decide_all(good))
    except Overloaded:
        service.shed()
        return OVERLOADED
    answers: list[bytes] = []
    for index, entry in enumerate(asked):
        if index % (1 if explained else ENCODED_AT_ONCE) == 0:
            await asyncio.sleep(0)  # others may be waiting for a decision
        answer = entry if isinstance(entry, Problem) else next(decided)
        if isinstance(answer, Decision):
            answers.append(request.app.state.desk.answer(answer))
        else:
            problem = answer if isinstance(answer, Problem) else invalid_body(answer.faults)
            answers.append(encode(problem.document()))
    return Encoded(b'{"decisions":[%b]}' % b",".join(answers))


def _request(index: int, raw: object) -> DecisionRequest | Problem:
    try:
        return BODY.validate_python(raw).to_request()
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        return invalid_body(faults_of(details))
