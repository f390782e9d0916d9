"""Each decision is in the files exactly once, whatever happens to the consumers and when.

`CRASH_SECONDS=60 pytest tests/feature_store/logbook/test_crashes.py -s` goes on for a minute.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import redis

from feature_store.client import connect
from feature_store.decision_log import DECISION_LOG, DecisionLog
from feature_store.embedded import EmbeddedStore
from feature_store.logbook.folder import LogFolder
from feature_store.logbook.keeping import drain_log, keep_up
from feature_store.logbook.stream import GROUP
from feature_store.outcomes import OUTCOME_LOG
from feature_store.store import CustomerStore

from .conftest import NOON, SCHEMA, entry, outcome

SECONDS = float(os.environ.get("CRASH_SECONDS", "12"))
CONSUMERS = 3
SCRIPT = Path(__file__).with_name("consuming.py")


def start(url: str, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, str(SCRIPT), url, str(folder)])


async def load(url: str, until: float) -> tuple[list[str], list[str]]:
    """Log batches of decisions and outcomes until then; the ids that were acknowledged."""
    client = connect(url, timeout=30)
    log, store = DecisionLog(connect(url, timeout=30), 10**6), CustomerStore(client, SCHEMA)
    decisions: list[str] = []
    outcomes: list[str] = []
    batch = 0
    while time.monotonic() < until:
        ids = [[f"d{batch}-{part}-{row}" for row in range(random.randint(1, 40))] for part in range(5)]
        packed = [entry(names, NOON + 600 * (batch % 13)).pack() for names in ids]
        await log.write(packed, {SCHEMA.fingerprint: SCHEMA.packed})
        some = [outcome(names[0], occurred_at=NOON + 700 * (batch % 17)) for names in ids]
        await store.record_outcomes(some, NOON)
        decisions += [name for names in ids for name in names]
        outcomes += [one.outcome_id.hex() for one in some]
        batch += 1
        await asyncio.sleep(0.01)
    await log.close()
    await store.close()
    return decisions, outcomes


async def kill_at_random(url: str, folder: Path, until: float) -> Counter[str]:
    """Kill consumers and start others, and pause some for longer than they may hold what they have."""
    done: Counter[str] = Counter()
    running = [start(url, folder) for _ in range(CONSUMERS)]
    try:
        while time.monotonic() < until:
            await asyncio.sleep(random.uniform(0.05, 0.5))
            place = random.randrange(CONSUMERS)
            if random.random() < 0.3:
                running[place].send_signal(signal.SIGSTOP)
                await asyncio.sleep(random.uniform(0.3, 0.8))
                running[place].send_signal(signal.SIGCONT)
                done["paused"] += 1
            else:
                running[place].kill()
                running[place].wait()
                running[place] = start(url, folder)
                done["killed"] += 1
            if random.random() < 0.2:
                client = connect(url, timeout=30)
                await keep_up(client, LogFolder(folder), quiet=0.0)
                await client.close()
                done["compacted"] += 1
    finally:
        for process in running:
            process.kill()
            process.wait()
    return done


def column(folder: Path, table: str, name: str) -> list[str]:
    found = duckdb.execute(f"SELECT {name} FROM read_parquet('{folder}/{table}/*/*/*.parquet') ORDER BY ALL")
    return [value for (value,) in found.fetchall()]


def test_each_row_is_in_the_files_once_when_consumers_are_killed_and_paused_at_random(
    own_store: EmbeddedStore, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    LogFolder(folder).prepare()

    async def both() -> tuple[tuple[list[str], list[str]], Counter[str]]:
        until = time.monotonic() + SECONDS
        return await asyncio.gather(load(own_store.url, until), kill_at_random(own_store.url, folder, until))

    (decisions, outcomes), done = asyncio.run(both())
    server = redis.Redis(unix_socket_path=str(own_store.socket))
    left: dict[str, int] = {}
    deadline = time.monotonic() + 60
    while any((left := {key: int(server.xlen(key)) for key in (DECISION_LOG, OUTCOME_LOG)}).values()):
        assert time.monotonic() < deadline, f"still there: {left}"
        asyncio.run(drain_log(own_store.url, folder, claim_after=0.4))
        time.sleep(0.2)
    print(f"{len(decisions):,} decisions, {len(outcomes):,} outcomes, {dict(done)}")  # noqa: T201
    assert column(folder, "decisions", "decision_id") == sorted(decisions)
    assert column(folder, "offers", "decision_id") == sorted(decisions)
    assert column(folder, "outcomes", "outcome_id") == sorted(outcomes)
    for key in (DECISION_LOG, OUTCOME_LOG):
        assert server.xpending(key, GROUP)["pending"] == 0
