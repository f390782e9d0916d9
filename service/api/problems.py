"""Errors as `application/problem+json` (RFC 9457), with every fault of a body at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.runtime.faults import Fault

MEDIA_TYPE = "application/problem+json"
_SHOULD = re.compile(r"^(Input|String|List|Value) should")
"""How a message of pydantic begins, which does not know what it speaks of."""
PROBLEM_SCHEMA = "#/components/schemas/ProblemView"


class Problem(Exception):
    """An answer that is an error; `type` is a short stable name for programs, `detail` is for people."""

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - RFC 9457's own word
        detail: str,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **extensions: object,
    ) -> None:
        super().__init__(detail)
        self.status, self.type, self.detail = status, type, detail
        self.faults, self.headers, self.extensions = tuple(faults), headers, extensions

    def document(self) -> dict[str, object]:
        """The JSON of the problem."""
        return {
            "type": f"urn:arbiter:problem:{self.type}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extensions,
            "errors": [{"path": printable(f.path), "message": printable(f.message)} for f in self.faults],
        }

    def response(self) -> Response:
        """The answer to send."""
        content = msgspec.json.encode(self.document())
        headers = dict(self.headers) if self.headers else None
        return Response(content, self.status, headers, MEDIA_TYPE)


def printable(text: str) -> str:
    """Text that can be encoded whatever a client has sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def invalid_body(faults: Sequence[Fault]) -> Problem:
    """422: the body was understood, but not all of it can be used."""
    number = len(faults)
    detail = f"the body has {number} fault{'s' if number > 1 else ''}: " + "; ".join(
        f"{printable(fault.path)}: {printable(fault.message)}" if fault.path else printable(fault.message)
        for fault in faults[:3]
    )
    return Problem(422, "invalid-body", detail + ("; ..." if number > 3 else ""), faults)


OVERLOADED = Problem(
    503, "overloaded", "too many requests are waiting", headers={"Retry-After": "1"}
).response()
"""503: come back in a second. Made once, because it is sent most when there is least time for it."""

INTERNAL_ERROR = Problem(500, "internal-error", "an error of the service; its log has the reason").response()


def store_unavailable() -> Problem:
    """503: what was asked may be asked again without counting twice."""
    return Problem(
        503,
        "store-unavailable",
        "the store is away; nothing was acknowledged, so send it again",
        headers={"Retry-After": "1"},
    )


def faults_of(errors: Iterable[ErrorDetails], prefix: str = "") -> list[Fault]:
    """pydantic's errors as faults, each with the path to its field."""
    return [Fault(_path(error["loc"], prefix), _message(error)) for error in errors]


def _path(loc: tuple[int | str, ...], prefix: str) -> str:
    path = prefix
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _message(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "is required"
    if error["type"] == "extra_forbidden":
        return "is not a known field"
    if error["type"] in ("model_type", "dict_type", "dataclass_type"):
        return "must be an object"
    if (
        error["type"] == "model_attributes_type"
    ):  # FastAPI has not read it, because it was not said to be JSON
        return "must be an object, with the header `content-type: application/json`"
    message = error["msg"].removeprefix("Value error, ").replace(" after validation", "", 1)
    return _SHOULD.sub("must", message)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document, and say so in its OpenAPI document."""
    plain_openapi = app.openapi
    app.openapi = lambda: _documented(plain_openapi())  # type: ignore[method-assign]

    @app.exception_handler(Problem)
    async def _problem(request: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        detail = {
            404: f"there is nothing at {printable(request.url.path)}",
            405: f"{request.method} is not possible here",
        }.get(error.status_code, str(error.detail))
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return Problem(error.status_code, kind, detail, headers=error.headers).response()

    @app.exception_handler(RequestValidationError)
    async def _parameters(request: Request, error: RequestValidationError) -> Response:
        return invalid_body([Fault(_path(e["loc"][1:], ""), _message(e)) for e in error.errors()]).response()

    @app.exception_handler(Exception)
    async def _fault_of_ours(request: Request, error: Exception) -> Response:
        return INTERNAL_ERROR


def _documented(document: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document in which errors have the form that they have here; FastAPI knows only its own."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= HTTPStatus.BAD_REQUEST:
                    response["content"] = {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_SCHEMA}}}
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return document
