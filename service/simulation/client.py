"""What a channel does: it asks for decisions and reports outcomes, over HTTP."""

import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from service.simulation.errors import SimulationError

MOST_AT_ONCE = 1_000
MOST_EXPLAINED = 20_000
"""Candidates that one answer may explain."""
READY_WITHIN = 120.0
TIMEOUT = 300.0


class Receipt(NamedTuple):
    """What became of reports."""

    accepted: int
    duplicates: int


class Client:
    """One connection, for one thread."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def wait_until_ready(self, alive: Callable[[], bool]) -> None:
        """Wait for the service.

        Raises:
            SimulationError: it has ended, or is not ready in time.
        """
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and alive():
            try:
                self._connection.request("GET", "/health/ready")
                answer = self._connection.getresponse()
                answer.read()
                if answer.status == http.client.OK:
                    return
            except OSError:
                self._connection.close()
            time.sleep(0.05)
        raise SimulationError("the service does not come up; what it has said stands above")

    def decide(self, requests: Sequence[dict[str, Any]], candidates: int) -> Iterator[dict[str, Any]]:
        """The decisions of these requests, in order; an explained one explains so many candidates.

        Raises:
            SimulationError: one is refused.
        """
        for part in _parts(requests, candidates):
            for decision in self._post("/v1/decisions/batch", {"requests": part})["decisions"]:
                if "placements" not in decision:
                    raise SimulationError(f"a decision was refused: {decision}")
                yield decision

    def report(self, outcomes: Sequence[dict[str, Any]]) -> Receipt:
        """Report outcomes.

        Raises:
            SimulationError: one is refused.
        """
        accepted = duplicates = 0
        for start in range(0, len(outcomes), MOST_AT_ONCE):
            found = self._post("/v1/outcomes", outcomes[start : start + MOST_AT_ONCE])
            accepted, duplicates = accepted + found["accepted"], duplicates + found["duplicates"]
        return Receipt(accepted, duplicates)

    def reload(self) -> dict[str, Any]:
        """Load the workspace and its champions afresh; the versions that serve from now on."""
        versions: dict[str, Any] = self._post("/v1/admin/reload", None)["versions"]
        return versions

    def close(self) -> None:
        self._connection.close()

    def _post(self, path: str, content: Any) -> Any:
        body = b"" if content is None else msgspec.json.encode(content)
        self._connection.request("POST", path, body, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise SimulationError(f"POST {path}: {answer.status}: {text.decode()[:2000]}")
        return msgspec.json.decode(text)


def _parts(requests: Sequence[dict[str, Any]], candidates: int) -> Iterator[Sequence[dict[str, Any]]]:
    """As many at once as one call may have."""
    explained, start = 0, 0
    for place, request in enumerate(requests):
        cost = candidates if request.get("explain", "none") != "none" else 0
        if place - start == MOST_AT_ONCE or explained + cost > MOST_EXPLAINED:
            yield requests[start:place]
            explained, start = 0, place
        explained += cost
    if start < len(requests):
        yield requests[start:]
