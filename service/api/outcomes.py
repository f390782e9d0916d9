"""`/v1/outcomes`: what happened to the actions that were offered."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from feature_store.store import StoreUnavailable
from service.api.decisions import PROBLEMS
from service.api.encoding import JSON_TYPE
from service.api.problems import invalid_body, overloaded, store_unavailable
from service.api.routes import RawBodyRoute
from service.api.schemas import MAX_BATCH, OutcomeBody, ReceiptView
from service.runtime.batching import Overloaded
from service.runtime.outcomes import OutcomeReport
from service.runtime.requests import Fault

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=RawBodyRoute)

OutcomeBodies = Annotated[list[OutcomeBody], Field(min_length=1, max_length=MAX_BATCH)]


@router.post(
    "",
    status_code=202,
    response_model=ReceiptView,
    responses=PROBLEMS,
    summary="Report one outcome, or up to 1,000",
)
async def take_outcomes(request: Request, body: OutcomeBody | OutcomeBodies) -> Response:
    """202 says that every row is durable. The same outcome twice counts once, so a call may always be
    repeated.

    A row with a bad token, outcome or time is answered 422 by its index; the other rows are taken in
    nevertheless, and the answer says how many.
    """
    service = request.app.state.service
    rows = body if isinstance(body, list) else [body]
    reports = [OutcomeReport(r.token, r.outcome, r.value, r.occurred_at, r.outcome_id) for r in rows]
    try:
        receipt = await service.outcomes.take(reports)
    except StoreUnavailable:
        raise store_unavailable() from None
    except Overloaded:
        service.shed()
        raise overloaded() from None
    counts = {"accepted": receipt.accepted, "duplicates": receipt.duplicates, "dry_run": receipt.dry_run}
    if receipt.faults:
        problem = invalid_body([_placed(i, fault, isinstance(body, list)) for i, fault in receipt.faults])
        problem.extensions.update(counts)
        raise problem
    return Response(msgspec.json.encode(counts), 202, media_type=JSON_TYPE)


def _placed(index: int, fault: Fault, listed: bool) -> Fault:
    return Fault(f"[{index}].{fault.path}", fault.message) if listed else fault
