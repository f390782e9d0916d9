"""The composition root: one ASGI application from settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline

from service.api import admin, catalogue, customers, decisions, events, health, outcomes, problems
from service.api.desk import Desk
from service.api.encoding import DecisionEncoder
from service.api.examples import example_answer, with_examples
from service.api.routes import DirectRoutes
from service.api.server import DIRECT, DirectRoute
from service.observability import logging
from service.observability.http import CountRequests
from service.runtime.service import Loaded, start_service
from service.settings import Settings

DESCRIPTION = (
    "Real-time next best actions: one brain for marketing, sales and service. "
    "Ask `POST /v1/decisions`, then report what happened with `POST /v1/outcomes`."
)
ROUTERS = [module.router for module in (decisions, outcomes, events, customers, catalogue, admin, health)]
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""Nothing here sets OpenTelemetry up, and FastAPI would look for it at every request, for 10 us."""


def create_app(settings: Settings | None = None, loaded: Loaded | None = None) -> FastAPI:
    """The application; without settings they come from `ARBITER_*`. It loads everything when it starts up,
    but what is `loaded` and current."""
    chosen = settings or Settings()
    logging.configure(chosen.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, DirectRoute]]:
        nonlocal loaded
        given, loaded = loaded, None  # once it is replaced, nothing holds on to it
        service = await start_service(chosen, given)
        encoder = DecisionEncoder(service.signer, chosen.token_seconds)
        desk = Desk(service, encoder)
        try:
            app.state.service, app.state.encoder, app.state.desk = service, encoder, desk
            app.state.example_answer = await example_answer(service, encoder)
            yield {DIRECT: desk}
        finally:
            await service.stop()
            desk.settle()

    app = FastAPIOffline(
        title="Arbiter",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(DirectRoutes, routes=[route for router in ROUTERS for route in router.routes])
    app.add_middleware(CountRequests)
    plain_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        return with_examples(plain_openapi(), app.state)

    app.openapi = openapi  # type: ignore[method-assign]
    return app
