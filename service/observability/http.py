"""Counting HTTP requests, as plain ASGI: no wrapper around requests or responses."""

from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.observability.metrics import HTTP_REQUESTS


class CountRequests:
    """Counts every request by its route's pattern, so that ids in paths never become labels."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._counters: dict[tuple[str, str, int], Counter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"])
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception:
            # answered further out, where no route is known any more
            self._count(scope, 500)
            raise

    def _count(self, scope: Scope, status: int) -> None:
        labels = getattr(scope.get("route"), "path", "none"), scope["method"], status
        counter = self._counters.get(labels)
        if counter is None:
            counter = self._counters[labels] = HTTP_REQUESTS.labels(*labels)
        counter.inc()
