"""`/v1/events`: what customers and visitors do."""

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from feature_store.store import StoreUnavailable
from service.api.bodies import EventBodies, EventBody
from service.api.decisions import PROBLEMS
from service.api.problems import OVERLOADED, store_unavailable
from service.api.routes import Encoded, RawBodyRoute
from service.api.rows import Rows
from service.api.views import EventReceiptView
from service.runtime.batching import Overloaded
from service.runtime.faults import MOST_WARNINGS

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=RawBodyRoute)


@router.post(
    "",
    status_code=202,
    response_model=EventReceiptView,
    responses=PROBLEMS,
    summary="Report one event, or up to 1,000",
)
async def take_events(request: Request, body: EventBody | EventBodies) -> Response:
    """202 says that every event is durable, and that the next decision sees it. A `message_id` counts once,
    so a call may always be repeated.

    A row that can't be used is answered 422 by its index; the other rows are taken in nevertheless, and the
    answer says how many.
    """
    service = request.app.state.service
    rows = Rows(body)
    try:
        receipt = await service.events.take([row.to_report() for row in rows.fitting.values()])
    except StoreUnavailable:
        raise store_unavailable() from None
    except Overloaded:
        service.shed()
        return OVERLOADED
    counts = {
        "accepted": receipt.accepted,
        "duplicates": receipt.duplicates,
        "warnings": [str(fault) for fault in rows.placed(receipt.warnings)[:MOST_WARNINGS]],
    }
    problem = rows.problem(receipt.faults, counts)
    if problem is not None:
        raise problem
    return Encoded(msgspec.json.encode(counts), 202)
