"""Counting HTTP requests, as plain ASGI: no wrapper around requests or responses."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.observability.metrics import HTTP_REQUESTS


class CountRequests:
    """Counts every request by its route's pattern, so that ids in paths never become labels."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                HTTP_REQUESTS.labels(route, scope["method"], message["status"]).inc()
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception:
            # answered further out, where no route is known any more
            HTTP_REQUESTS.labels(getattr(scope.get("route"), "path", "none"), scope["method"], 500).inc()
            raise
