"""Health checks and metrics."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.responses import Response

from service.api.problems import Problem
from service.api.views import ProblemView, VersionsView
from service.observability.metrics import exposition

RETRY = {"Retry-After": "1"}

router = APIRouter(tags=["operation"])


class Live(BaseModel):
    status: str


class Ready(BaseModel):
    status: str
    versions: VersionsView


@router.get("/health/live", response_model=Live, summary="The process answers")
async def live() -> Live:
    """200 as long as the process can answer at all."""
    return Live(status="live")


@router.get(
    "/health/ready",
    response_model=Ready,
    responses={503: {"model": ProblemView, "description": "Not yet, or no more."}},
    summary="The workspace and its models are loaded",
)
async def ready(request: Request) -> Ready:
    """200 when decisions can be made. A store that is away degrades decisions; it does not make the service
    unready."""
    service = getattr(request.app.state, "service", None)
    if service is None or not service.ready:
        raise Problem(503, "not-ready", "the workspace and its models are not loaded", headers=RETRY)
    return Ready(status="ready", versions=VersionsView.model_validate(service.snapshot.versions))


@router.get("/metrics", summary="Metrics in Prometheus's text format", response_class=Response)
async def metrics(request: Request) -> Response:
    """The sum over all workers."""
    request.app.state.service.refresh_metrics()
    request.app.state.desk.settle()
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)
