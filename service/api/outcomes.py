"""`/v1/outcomes`: what happened to the actions that were offered."""

from collections.abc import Iterator

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from feature_store.store import StoreUnavailable
from service.api.decisions import PROBLEMS
from service.api.problems import OVERLOADED, faults_of, invalid_body, store_unavailable
from service.api.routes import Encoded, RawBodyRoute
from service.api.schemas import Misfit, OutcomeBodies, OutcomeBody, ReceiptView
from service.runtime.batching import Overloaded
from service.runtime.outcomes import OutcomeReport
from service.runtime.requests import Fault

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
    rows: list[OutcomeBody | Misfit] = [*body] if isinstance(body, list) else [body]
    fitting = {index: row for index, row in enumerate(rows) if isinstance(row, OutcomeBody)}
    reports = [
        OutcomeReport(r.token, r.outcome, r.value, r.occurred_at, r.outcome_id) for r in fitting.values()
    ]
    try:
        receipt = await service.outcomes.take(reports)
    except StoreUnavailable:
        raise store_unavailable() from None
    except Overloaded:
        service.shed()
        return OVERLOADED
    counts = {"accepted": receipt.accepted, "duplicates": receipt.duplicates, "dry_run": receipt.dry_run}
    indexes = list(fitting)
    faults = [*_misfits(rows), *((indexes[number], fault) for number, fault in receipt.faults)]
    if faults:
        faults.sort(key=lambda placed: placed[0])
        problem = invalid_body([_placed(i, fault, isinstance(body, list)) for i, fault in faults])
        problem.extensions.update(counts)
        raise problem
    return Encoded(msgspec.json.encode(counts), 202)


def _misfits(rows: list[OutcomeBody | Misfit]) -> Iterator[tuple[int, Fault]]:
    for index, row in enumerate(rows):
        if isinstance(row, Misfit):
            yield from ((index, fault) for fault in faults_of(row.errors))


def _placed(index: int, fault: Fault, listed: bool) -> Fault:
    if not listed:
        return fault
    return Fault(f"[{index}].{fault.path}" if fault.path else f"[{index}]", fault.message)
