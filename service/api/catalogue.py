"""`/v1/catalogue`: what is live, and what would be wrong with another one."""

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from feature_store.documents import Problem as Finding
from feature_store.feature import iso_timestamp
from service import clock
from service.api.bodies import FilesBody
from service.api.problems import Problem
from service.api.routes import Encoded, parse, read_body
from service.api.views import CheckedView, FindingView, ProblemView
from service.decisioning.catalogue import Action, Catalogue, Channel, Treatment
from service.runtime.checking import BadArchive, check, unpacked

router = APIRouter(prefix="/v1/catalogue", tags=["catalogue"])


@router.get("", summary="What is live, with its version", response_model=dict[str, Any])
async def read_catalogue(request: Request) -> Response:
    """Channels with their placements, and actions with their treatments."""
    service = request.app.state.service
    catalogue: Catalogue = service.snapshot.catalogue
    treatments: dict[str, list[Treatment]] = {action.name: [] for action in catalogue.actions}
    for treatment in catalogue.treatments:
        treatments[treatment.action].append(treatment)
    document = {
        "version": catalogue.version,
        "versions": service.snapshot.versions,
        "outcomes": dict(service.workspace.files.outcomes),
        "channels": [_channel(channel) for channel in catalogue.channels],
        "actions": [_action(action, treatments[action.name]) for action in catalogue.actions],
    }
    return Encoded(msgspec.json.encode(document))


ZIP = "application/zip"
_FILES: TypeAdapter[FilesBody] = TypeAdapter(FilesBody)


@router.post(
    "/validate",
    summary="What would be wrong with a changed workspace",
    response_model=CheckedView,
    responses={
        400: {"model": ProblemView, "description": "The body is neither JSON nor a ZIP archive."},
        413: {"model": ProblemView, "description": "The body is too large."},
        415: {"model": ProblemView, "description": "The body is said to be something else."},
        422: {"model": ProblemView, "description": "The body is JSON of another shape."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": FilesBody.model_json_schema()},
                ZIP: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def validate(request: Request) -> CheckedView:
    """Read all its files as a reload would, as JSON or as a ZIP archive of the folder, and check them with
    the models that serve. Nothing changes."""
    service = request.app.state.service
    body = await read_body(request, ZIP)
    if request.headers.get("content-type", "").startswith(ZIP):
        try:
            files = unpacked(body)
        except BadArchive as error:
            raise Problem(400, "not-zip", str(error)) from None
    else:
        files = {name: text.encode() for name, text in parse(_FILES, body).files.items()}
    found = await asyncio.to_thread(check, files, service.workspace, clock.now())
    return CheckedView(
        valid=not found.errors,
        version=found.version if not found.errors else None,
        errors=[_finding(problem) for problem in found.errors],
        warnings=[_finding(problem) for problem in found.warnings],
        ignored=list(found.ignored),
    )


def _finding(problem: Finding) -> FindingView:
    return FindingView(
        file=problem.file,
        line=problem.line,
        column=problem.column,
        path=problem.path,
        message=problem.message,
    )


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "name": channel.name,
        "direction": channel.direction,
        "description": channel.description,
        "placements": [
            {"id": p.id, "limit": p.limit, "description": p.description} for p in channel.placements
        ],
    }


def _action(action: Action, treatments: list[Treatment]) -> dict[str, Any]:
    return {
        "issue": action.issue,
        "group": action.group,
        "action": action.name,
        "title": action.title,
        "description": action.description,
        "active": action.active,
        "start": _moment(action.start),
        "end": _moment(action.end),
        "value": None if action.value_formula else action.value,
        "value_formula": action.value_formula,
        "customer_value": None if action.customer_value_formula else action.customer_value,
        "customer_value_formula": action.customer_value_formula,
        "lever": action.lever,
        "model": action.model,
        "propensity": action.propensity,
        "treatments": [
            {
                "treatment": treatment.name,
                "channel": treatment.channel,
                "placements": treatment.placements,
                "active": treatment.active,
                "content": msgspec.Raw(treatment.content),
            }
            for treatment in treatments
        ],
    }


def _moment(seconds: float) -> str | None:
    """ISO-8601, or None where an action has no such limit."""
    return None if seconds in (float("inf"), float("-inf")) else iso_timestamp(seconds)
