"""Where decisions are asked for and answered, whichever way a request has come in."""

from collections import Counter
from typing import Protocol

from pydantic import TypeAdapter
from starlette.responses import Response

from service.api.bodies import DecisionBody
from service.api.encoding import DecisionEncoder
from service.api.problems import OVERLOADED, Problem, invalid_body
from service.api.routes import Encoded, parse
from service.observability.http import count_requests
from service.runtime.accounting import AT_ONCE, WITHIN
from service.runtime.batching import Overloaded
from service.runtime.decision import Decision
from service.runtime.requests import InvalidRequest
from service.runtime.service import Service
from service.runtime.soon import Soon

PATH = "/v1/decisions"
BODY: TypeAdapter[DecisionBody] = TypeAdapter(DecisionBody)


class Reply(Protocol):
    """Who waits for a response: a future, or what is answered like one."""

    def done(self) -> bool:
        """Whether nothing is waited for any more."""

    def set_result(self, response: Response, /) -> None:
        """Answer."""

    def set_exception(self, error: Exception, /) -> None:
        """Say that something is wrong here."""


class Desk:
    """Answers `POST /v1/decisions`. It is a direct route, see `server`; what is unusual comes from the route
    of FastAPI, with its body checked."""

    method, target = b"POST", PATH.encode()
    opening = b"%b %b HTTP/1.1\r\n" % (method, target)

    def __init__(self, service: Service, encoder: DecisionEncoder) -> None:
        self._service, self._encoder = service, encoder
        self.most = service.settings.max_body_bytes
        self._ended = Counter[int]()
        self._soon = Soon(self._count, at_once=AT_ONCE, within=WITHIN)

    @property
    def full(self) -> bool:
        """Whether there is no room for another request. In an overload most are such, and everything that is
        done for them is lost to the others, so they are turned away by their head alone."""
        return not self._service.decider.has_room

    def take(self, raw: bytearray, reply: Reply) -> None:
        """Answer a raw body."""
        try:
            body = parse(BODY, raw)
        except Problem as problem:
            reply.set_result(problem.response())
        else:
            self.ask(body, reply)

    def count(self, status: int) -> None:
        """Count a request that did not come from FastAPI."""
        self._ended[status] += 1
        self._soon.add()

    def settle(self) -> None:
        """Count every request that has ended."""
        self._soon.now()

    def _count(self) -> None:
        for status, number in self._ended.items():
            count_requests(PATH, "POST", status, number)
        self._ended.clear()

    def ask(self, body: DecisionBody, reply: Reply) -> None:
        """Answer a body."""
        try:
            self._service.decider.submit(body.to_request(), _Asking(self, reply))
        except Overloaded:
            reply.set_result(self.turn_away())

    def answer(self, decision: Decision) -> bytes:
        """A decision as JSON."""
        answer = self._encoder.encode(decision)
        self._service.recorder.keep(decision, answer)
        return answer

    def turn_away(self) -> Response:
        """The answer to a request that there is no room for, which is counted."""
        self._service.shed()
        return OVERLOADED


class _Asking:
    """Makes responses of decisions, for who waits for one."""

    __slots__ = ("_desk", "_reply", "done")

    def __init__(self, desk: Desk, reply: Reply) -> None:
        self._desk, self._reply, self.done = desk, reply, reply.done

    def set_result(self, decision: Decision) -> None:
        try:
            answer = self._desk.answer(decision)
        except Exception as error:  # noqa: BLE001 - the others of the batch are answered nevertheless
            self._reply.set_exception(error)
        else:
            self._reply.set_result(Encoded(answer))

    def set_exception(self, error: Exception) -> None:
        if isinstance(error, InvalidRequest):
            self._reply.set_result(invalid_body(error.faults).response())
        elif isinstance(error, Overloaded):
            self._reply.set_result(self._desk.turn_away())
        else:
            self._reply.set_exception(error)
