"""Load on `POST /v1/decisions`, closed loop by wrk where it is installed, open loop by a loader of our own.

Where there is no wrk, the loader makes closed loops too. It takes several times the processor time of wrk:
figures made by the two are not to be compared.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np

from loadtests.loader import PATH, Answers, Loader

WRK_SCRIPT = """\
local requests = {}
function init(arguments)
  math.randomseed(1)
  local headers = {["content-type"] = "application/json"}
  for body in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end
function request()
  return requests[math.random(#requests)]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "errors": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Sample:
    """One measurement. Response times in milliseconds; `errors` counts what was not answered below 400.

    `late_ms` is the 99th percentile of how long after its time a request of an open loop was sent: the
    generator's own share of the response times.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    late_ms: float = 0.0

    @property
    def per_second(self) -> float:
        """The throughput."""
        return self.requests / self.seconds


class LoadGenerator(Protocol):
    """Sends random ones of the bodies in a file (one a line) to `POST /v1/decisions` of a server."""

    name: str

    def run(self, url: str, bodies: Path, connections: int, seconds: float) -> Sample:
        """Load the server from so many connections, each of which waits for its answer, for so long."""


def best_generator() -> LoadGenerator:
    """wrk, or our own loader where there is no wrk."""
    return Wrk() if shutil.which("wrk") else Own()


class Wrk:
    """The C program wrk (Debian: `apt-get install wrk`)."""

    name = "wrk"

    def run(self, url: str, bodies: Path, connections: int, seconds: float) -> Sample:
        """Load the server; raises `CalledProcessError` when wrk fails."""
        script = bodies.with_suffix(".lua")
        script.write_text(WRK_SCRIPT)
        command = ["wrk", "--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "10s"]
        command += ["--script", str(script), url if urlsplit(url).path else url + PATH, "--", str(bodies)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        result = next(line for line in said.splitlines() if line.startswith("RESULT "))
        return Sample(**json.loads(result.removeprefix("RESULT ")))


class Own:
    """Our own loader, in this process."""

    name = "the bundled Python loader"

    def run(self, url: str, bodies: Path, connections: int, seconds: float) -> Sample:
        """Load the server."""
        with Loader(url, bodies) as loader:
            return _sample(loader.answers, loader.closed(connections, seconds))


def run_open(url: str, bodies: Path, rate: float, seconds: float) -> Sample:
    """Load a server with `rate` requests a second that wait for nobody."""
    with Loader(url, bodies) as loader:
        return _sample(loader.answers, loader.open(rate, seconds))


def _sample(answers: Answers, seconds: float) -> Sample:
    took = np.array(answers.took or [np.nan]) * 1e3
    return Sample(
        requests=len(answers.took),
        seconds=seconds,
        p50_ms=float(np.percentile(took, 50)),
        p99_ms=float(np.percentile(took, 99)),
        errors=answers.errors,
        late_ms=float(np.percentile(answers.late, 99)) * 1e3 if answers.late else 0.0,
    )
