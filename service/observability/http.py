"""Counting HTTP requests, as plain ASGI: no wrapper around requests or responses."""

from functools import cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.observability.metrics import HTTP_REQUESTS

_series = cache(HTTP_REQUESTS.labels)


def count_requests(route: str, method: str, status: int, number: int = 1) -> None:
    """Count requests, by their route's pattern: ids in paths never become labels."""
    _series(route, method, status).inc(number)


class CountRequests:
    """Counts every request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                _count(scope, message["status"])
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception:
            # answered further out, where no route is known any more
            _count(scope, 500)
            raise


def _count(scope: Scope, status: int) -> None:
    count_requests(getattr(scope.get("route"), "path", "none"), scope["method"], status)
