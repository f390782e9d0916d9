"""`/v1/admin`: what operators do to a running service."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from feature_store.documents import WorkspaceError
from models.errors import ModelError, PreloadRefused
from service.api.problems import Problem
from service.api.schemas import ProblemView, VersionsView
from service.runtime.faults import Fault

router = APIRouter(prefix="/v1/admin", tags=["operation"])


class Reloaded(BaseModel):
    versions: VersionsView
    announced: bool = Field(
        description="Whether the other workers could be told: they follow within a second."
    )


@router.post(
    "/reload",
    response_model=Reloaded,
    responses={
        422: {"model": ProblemView, "description": "The workspace can't be used; the old one serves on."}
    },
    summary="Load the workspace and its champion models afresh",
)
async def reload(request: Request) -> Reloaded:
    """Everything is loaded and checked first, then swapped at once, here and on the workers that share the
    store. `errors` of a 422 has every problem with its file and line."""
    service = request.app.state.service
    try:
        announced = await service.reload()
    except WorkspaceError as error:
        faults = [Fault(p.place, f"{p.path}: {p.message}" if p.path else p.message) for p in error.problems]
        raise _refused(faults) from None
    except PreloadRefused as error:
        raise _refused([Fault(f"models/{r.name}", str(r)) for r in error.refusals]) from None
    except ModelError as error:
        raise _refused([Fault("models", str(error))]) from None
    return Reloaded(versions=VersionsView.model_validate(service.snapshot.versions), announced=announced)


def _refused(faults: list[Fault]) -> Problem:
    number = len(faults)
    detail = f"the workspace has {number} problem{'s' if number > 1 else ''}; what served before serves on"
    return Problem(422, "invalid-workspace", detail, faults)
