"""`/v1/catalogue`: what is live."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from feature_store.feature import iso_timestamp
from service.api.encoding import JSON_TYPE
from service.decisioning.catalogue import Action, Catalogue, Channel, Treatment

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
    return Response(msgspec.json.encode(document), media_type=JSON_TYPE)


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
        "value": action.value,
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
