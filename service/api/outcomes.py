"""`/v1/outcomes`: what happened to the actions that were offered."""

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from feature_store.store import StoreUnavailable
from service.api.bodies import OutcomeBodies, OutcomeBody
from service.api.decisions import PROBLEMS
from service.api.problems import OVERLOADED, store_unavailable
from service.api.routes import Encoded, RawBodyRoute
from service.api.rows import Rows
from service.api.views import ReceiptView
from service.runtime.batching import Overloaded
from service.runtime.outcomes import OutcomeReport

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=RawBodyRoute)


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

    A row that can't be used is answered 422 by its index; the other rows are taken in nevertheless, and the
    answer says how many.
    """
    service = request.app.state.service
    rows = Rows(body)
    reports = [
        OutcomeReport(r.token, r.outcome, r.value, r.occurred_at, r.outcome_id) for r in rows.fitting.values()
    ]
    try:
        receipt = await service.outcomes.take(reports)
    except StoreUnavailable:
        raise store_unavailable() from None
    except Overloaded:
        service.shed()
        return OVERLOADED
    counts = {"accepted": receipt.accepted, "duplicates": receipt.duplicates, "dry_run": receipt.dry_run}
    problem = rows.problem(receipt.faults, counts)
    if problem is not None:
        raise problem
    return Encoded(msgspec.json.encode(counts), 202)
