"""`/v1/admin`: what operators do to a running service."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from feature_store.documents import WorkspaceError
from models.errors import ModelError, ModelRefused, PreloadRefused
from models.listing import ListedVersion, listed
from service.api.problems import Problem
from service.api.views import ProblemView, VersionsView
from service.runtime.faults import Fault
from service.runtime.service import Service
from service.workspace.trials import challenging

router = APIRouter(prefix="/v1/admin", tags=["operation"])


class Reloaded(BaseModel):
    versions: VersionsView
    announced: bool = Field(
        description="Whether the other workers could be told: they follow within a second."
    )


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: str | None = Field(default=None, description="The version; the newest one, if left out.")


class Changed(Reloaded):
    model: str
    champion: str = Field(description="The version that serves from now on.")


class Challenge(Wanted):
    share: str = Field(description="Of the customers, such as 10%; the same ones in every channel.")


class Tried(Reloaded):
    model: str
    version: str = Field(description="The version that is tried out, or was.")
    share: float | None = Field(
        description="Of the customers for whom it decides, from 0 to 1; 0 for a shadow, null if it is not "
        "tried out any more."
    )


REFUSED: dict[int | str, dict[str, Any]] = {
    422: {"model": ProblemView, "description": "It can't be used; what served before serves on."}
}


@router.post(
    "/reload",
    response_model=Reloaded,
    responses=REFUSED,
    summary="Load the workspace and its champion models afresh",
)
async def reload(request: Request) -> Reloaded:
    """Everything is loaded and checked first, then swapped at once, here and on the workers that share the
    store. `errors` of a 422 has every problem with its file and line."""
    service = request.app.state.service
    with _refusing():
        announced = await service.reload()
    return Reloaded(versions=VersionsView.model_validate(service.snapshot.versions), announced=announced)


class Listing(BaseModel):
    versions: list[ListedVersion] = Field(description="By model, the newest first.")


@router.get("/models", responses=REFUSED, summary="The versions of all models, and what each is for")
async def models(request: Request) -> Listing:
    """As the registry has them: what is promoted or tried out by a command is there before the reload."""
    registry = request.app.state.service.workspace.registry
    with _refusing():
        return Listing(versions=await asyncio.to_thread(listed, registry))


@router.post("/models/{name}/promote", responses=REFUSED, summary="Have another version of a model serve")
async def promote(request: Request, name: str, wanted: Wanted | None = None) -> Changed:
    """The version is checked as at the start, then it serves, here and on the workers that share the store,
    which load everything afresh as for a reload."""
    service = request.app.state.service
    with _refusing():
        champion, announced = await service.promote(name, wanted.version if wanted else None)
    return _changed(service, name, champion, announced)


@router.post("/models/{name}/rollback", responses=REFUSED, summary="Go back to the version before")
async def rollback(request: Request, name: str) -> Changed:
    """The version that the champion has replaced serves again; going back twice goes further back."""
    service = request.app.state.service
    with _refusing():
        champion, announced = await service.roll_back(name)
    return _changed(service, name, champion, announced)


@router.post("/models/{name}/shadow", responses=REFUSED, summary="Have a version score beside the champion")
async def shadow(request: Request, name: str, wanted: Wanted | None = None) -> Tried:
    """It scores what the champion scores, its propensities are logged beside those of the champion, and no
    decision depends on it. A challenger becomes a shadow."""
    return await _try_out(request, name, wanted.version if wanted else None, Fraction(0))


@router.post(
    "/models/{name}/challenge", responses=REFUSED, summary="Have a version decide for some customers"
)
async def challenge(request: Request, name: str, challenge: Challenge) -> Tried:
    """A share that grows moves nobody out. No customer is decided for by two challengers, so the shares of
    all models add up to 100% at most."""
    try:
        share = challenging(challenge.share)
    except ValueError as error:
        raise _refused([Fault("share", str(error))]) from None
    return await _try_out(request, name, challenge.version, share)


@router.post("/models/{name}/withdraw", responses=REFUSED, summary="End the trial of a version")
async def withdraw(request: Request, name: str, wanted: Wanted | None = None) -> Tried:
    """Of a shadow or a challenger; the version may be left out where only one is tried out."""
    service = request.app.state.service
    with _refusing():
        version, announced = await service.withdraw(name, wanted.version if wanted else None)
    return _tried(service, name, version, None, announced)


async def _try_out(request: Request, name: str, version: str | None, share: Fraction) -> Tried:
    service = request.app.state.service
    with _refusing():
        trial, announced = await service.try_out(name, version, share)
    return _tried(service, name, trial.version, trial.share, announced)


def _tried(service: Service, name: str, version: str, share: float | None, announced: bool) -> Tried:
    versions = VersionsView.model_validate(service.snapshot.versions)
    return Tried(model=name, version=version, share=share, versions=versions, announced=announced)


def _changed(service: Service, name: str, champion: str, announced: bool) -> Changed:
    versions = VersionsView.model_validate(service.snapshot.versions)
    return Changed(model=name, champion=champion, versions=versions, announced=announced)


@contextmanager
def _refusing() -> Iterator[None]:
    """Say what is wrong with a workspace or a model."""
    try:
        yield
    except WorkspaceError as error:
        faults = [Fault(p.place, f"{p.path}: {p.message}" if p.path else p.message) for p in error.problems]
        raise _refused(faults) from None
    except PreloadRefused as error:
        raise _refused([Fault(f"models/{r.name}", str(r)) for r in error.refusals]) from None
    except ModelRefused as error:
        raise _refused([Fault(f"models/{error.name}", str(error))]) from None
    except ModelError as error:
        raise _refused([Fault("models", str(error))]) from None


def _refused(faults: list[Fault]) -> Problem:
    number = len(faults)
    detail = f"the workspace has {number} problem{'s' if number > 1 else ''}; what served before serves on"
    return Problem(422, "invalid-workspace", detail, faults)
