"""Routes whose handlers work on the raw body.

FastAPI's own handling of a body (dependencies, a second validation, serialisation) costs more than a
decision. These routes stand in the OpenAPI document like any other, from the signature of their endpoint,
but the body goes straight to pydantic and the endpoint returns the response itself. Requests for them need
not find their way through the router either, see `DirectRoutes`.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from types import UnionType
from typing import Any, Protocol, Union, get_args, get_origin, get_type_hints

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.problems import Problem, faults_of, invalid_body

JSON_TYPES = ("application/json", "")
CLIENT_GONE = 499
"""The status, as nginx has it, of a request whose client went away before it was all here."""
_CONTENT_TYPE_JSON = (b"content-type", b"application/json")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Encoded(Response):
    """A JSON document that is encoded already."""

    def __init__(self, body: bytes, status_code: int = 200) -> None:
        self.body, self.status_code, self.background = body, status_code, None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), _CONTENT_TYPE_JSON]


class Validator(Protocol):
    """What makes a value of a type out of JSON, as pydantic's TypeAdapter does."""

    def validate_json(self, data: bytes | bytearray, /) -> Any: ...


class OneOrMany:
    """A body that is an object or a list of such objects: each is checked as what it is, so faults name one
    path."""

    def __init__(self, one: Any, many: Any) -> None:
        self._one: TypeAdapter[Any] = TypeAdapter(one)
        self._many: TypeAdapter[Any] = TypeAdapter(many)

    def validate_json(self, data: bytes | bytearray, /) -> Any:
        listed = data.lstrip()[:1] == b"["
        return (self._many if listed else self._one).validate_json(data)


class RawBodyRoute(APIRoute):
    """A route of an endpoint `(request, body)`; `body` is annotated with what the JSON must be, or with the
    union of that and a list of it.

    `answer` answers a request; it is None where the endpoint takes no body and is FastAPI's to call.
    """

    answer: Handler | None = None

    def get_route_handler(self) -> Handler:
        self.answer = self._raw_handler()
        return self.answer or super().get_route_handler()

    def _raw_handler(self) -> Handler | None:
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        body_type = get_type_hints(endpoint, include_extras=True).get("body")
        if body_type is None:
            return None
        union = get_origin(body_type) in (Union, UnionType)  # `A | Annotated[...]` is the former
        validator: Validator = OneOrMany(*get_args(body_type)) if union else TypeAdapter(body_type)

        async def handle(request: Request) -> Response:
            try:
                body = parse(validator, await read_body(request))
                return await endpoint(request, body, **request.path_params)
            except Problem as problem:
                return problem.response()
            except ClientDisconnect:
                return Response(status_code=CLIENT_GONE)  # nobody reads it; metrics count it

        return handle


class DirectRoutes:
    """Middleware that hands requests for raw routes without parameters in their path to their handlers.

    The handlers answer every error that is the request's; what is left for FastAPI to do for them, matching
    every route, stacks of contexts and handlers of exceptions, takes longer than they do. Everything else,
    another method on the same path for one, goes on to FastAPI. Middleware added later is around both.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes: dict[tuple[str, str], tuple[RawBodyRoute, Handler]] = {
            (route.path, method): (route, route.answer)
            for route in routes
            if isinstance(route, RawBodyRoute) and route.answer and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._routes.get((scope["path"], scope["method"])) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"], answer = found
        response = await answer(Request(scope, receive))
        await response(scope, receive, send)


def parse(validator: Validator, raw: bytes | bytearray) -> Any:
    """A body as its type.

    Raises:
        Problem: 400 where it is not JSON, 422 with all faults where it does not fit.
    """
    try:
        return validator.validate_json(raw)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        if details[0]["type"] == "json_invalid":
            reason = details[0]["msg"].removeprefix("Invalid JSON: ")
            raise Problem(400, "not-json", f"the body is not JSON: {reason}") from None
        raise invalid_body(faults_of(details)) from None


async def read_body(request: Request, *also: str) -> bytes:
    """The whole body; `also` are media types that will do beside JSON.

    Raises:
        Problem: 413 where it is larger than the settings allow, 415 where it is said to be something else
        than JSON.
        ClientDisconnect: the client went away before it was all here.
    """
    most: int = request.app.state.service.settings.max_body_bytes
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            _check_media_type(value.decode("latin-1"), also)
        elif name == b"content-length" and value.isdigit() and int(value) > most:
            raise _too_large(most)
    message = await request.receive()
    chunks, size = [], 0
    while message["type"] == "http.request":
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            raise _too_large(most)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await request.receive()
    raise ClientDisconnect


def _check_media_type(given: str, also: tuple[str, ...]) -> None:
    media_type = given.partition(";")[0].strip().lower()
    if media_type not in (*JSON_TYPES, *also) and not media_type.endswith("+json"):
        wanted = " or ".join(("application/json", *also))
        raise Problem(415, "unsupported-media-type", f"send {wanted}")


def _too_large(most: int) -> Problem:
    return Problem(413, "body-too-large", f"a body may have {most} bytes")
