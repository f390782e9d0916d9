"""Closed-loop load: so many connections, each of which sends its next request when it has its answer.

wrk does it where it is installed; it takes little of its core. Otherwise asyncio does, which takes about as
much processor time as the server it loads: figures made by the two are not to be compared.
"""

import asyncio
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np

PATH = "/v1/decisions"
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
    """One measurement. Response times in milliseconds; `errors` counts what was not answered below 400."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def per_second(self) -> float:
        """The throughput."""
        return self.requests / self.seconds


class LoadGenerator(Protocol):
    """Sends random ones of the bodies in a file (one a line) to `POST /v1/decisions` of a server."""

    name: str

    def run(self, url: str, bodies: Path, connections: int, seconds: float) -> Sample:
        """Load the server from so many connections for so long."""


def best_generator() -> LoadGenerator:
    """wrk, or asyncio where there is no wrk."""
    return Wrk() if shutil.which("wrk") else Asyncio()


class Wrk:
    """The C program wrk (Debian: `apt-get install wrk`)."""

    name = "wrk"

    def run(self, url: str, bodies: Path, connections: int, seconds: float) -> Sample:
        """Load the server; raises `CalledProcessError` when wrk fails."""
        script = bodies.with_suffix(".lua")
        script.write_text(WRK_SCRIPT)
        command = [
            "wrk",
            "--threads",
            "1",
            "--connections",
            str(connections),
            "--duration",
            f"{round(seconds)}s",
        ]
        command += ["--timeout", "10s", "--script", str(script), url + PATH, "--", str(bodies)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        result = next(line for line in said.splitlines() if line.startswith("RESULT "))
        return Sample(**json.loads(result.removeprefix("RESULT ")))


class Asyncio:
    """asyncio streams in this process."""

    name = "asyncio"

    def run(self, url: str, bodies: Path, connections: int, seconds: float) -> Sample:
        """Load the server."""
        netloc = urlsplit(url).netloc
        head = f"POST {PATH} HTTP/1.1\r\nhost: {netloc}\r\ncontent-type: application/json\r\ncontent-length: "
        requests = [f"{head}{len(body)}\r\n\r\n{body}".encode() for body in bodies.read_text().splitlines()]
        return asyncio.run(self._load(netloc, requests, connections, seconds))

    async def _load(self, netloc: str, requests: list[bytes], connections: int, seconds: float) -> Sample:
        started = time.perf_counter()
        clients = (_client(netloc, requests, seed, started + seconds) for seed in range(connections))
        answers = [answer for client in await asyncio.gather(*clients) for answer in client]
        took = np.array([seconds for seconds, _ in answers]) * 1e3
        return Sample(
            requests=len(answers),
            seconds=time.perf_counter() - started,
            p50_ms=float(np.percentile(took, 50)),
            p99_ms=float(np.percentile(took, 99)),
            errors=sum(status >= 400 for _, status in answers),
        )


async def _client(netloc: str, requests: list[bytes], seed: int, until: float) -> list[tuple[float, int]]:
    """One connection's answers: the seconds that each took, and its status."""
    host, _, port = netloc.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    random, answers = Random(seed), []
    while (began := time.perf_counter()) < until:
        writer.write(random.choice(requests))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        answers.append((time.perf_counter() - began, int(head.split(b" ", 2)[1])))
    writer.close()
    await writer.wait_closed()
    return answers
