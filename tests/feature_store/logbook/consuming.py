"""A consumer that never pauses and soon takes over what others hold: `consuming.py URL FOLDER`."""

import asyncio
import sys
from pathlib import Path

from feature_store.client import connect
from feature_store.logbook.consumer import Consumer
from feature_store.logbook.folder import LogFolder

CLAIM_AFTER = 0.4


async def main(url: str, folder: LogFolder) -> None:
    folder.prepare()
    consumer = Consumer(connect(url, timeout=30), folder, CLAIM_AFTER)
    while True:
        await consumer.drain()
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], LogFolder(Path(sys.argv[2]))))
