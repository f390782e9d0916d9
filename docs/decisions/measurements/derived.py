"""What derived features cost: CPU microseconds a request to fill them in, alone and in batches.

python docs/decisions/measurements/derived.py WORKSPACE

The workspace has trained models and customers.parquet.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from service.runtime.population import Audience
from service.workspace.loading import load_workspace

ROUNDS = 40
CALLS = 30

workspace = load_workspace(Path(sys.argv[1]))
snapshot = workspace.snapshot()
table = pq.read_table(workspace.folder / "customers.parquet").slice(0, 2_000).to_batches()[0]
channel = snapshot.catalogue.channels[0].name
nothing = np.full(snapshot.schema.width, np.nan)
whole, _ = Audience(snapshot, channel, nothing, time.time()).requests(table)
for size in (1, 16, 64):
    batches = [whole.take(np.arange(at, at + size)) for at in range(0, CALLS * size, size)]
    least = np.inf
    for _ in range(ROUNDS):
        started = time.process_time()
        for batch in batches:
            snapshot.derived.complete(batch)
        least = min(least, time.process_time() - started)
    print(f"{size:3} together: {1e6 * least / (CALLS * size):6.1f} us each")  # noqa: T201
