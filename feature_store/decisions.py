"""Recorded decisions, each under its id, and the snapshots that made them: both as opaque bytes, for as long
as they are asked to be kept."""

from collections.abc import Mapping, Sequence
from typing import cast

from feature_store.client import Client, all_good


class DecisionRecords:
    """Keys `arb:decision:<id>` and `arb:snapshot:<version>`.

    Every method raises `StoreUnavailable` when the store is away, too slow, or refuses.
    """

    def __init__(self, client: Client, seconds: int) -> None:
        """`seconds` is for how long a decision is kept; a snapshot stays as long as its last decision."""
        self._client = client
        self._seconds = seconds

    async def keep_snapshot(self, version: str, packed: bytes) -> None:
        """Keep a snapshot, if it is not there."""
        await self._run([("SET", _snapshot(version), packed, "EX", self._seconds)])

    async def keep(self, version: str, records: Mapping[str, bytes]) -> bool:
        """Keep decisions by their ids, all made by one snapshot, in one round trip.

        Returns whether the snapshot is there still; if it is not, it has to be kept again.
        """
        replies = await self._run(
            [
                *(("SET", _decision(id_), record, "EX", self._seconds) for id_, record in records.items()),
                ("EXPIRE", _snapshot(version), self._seconds),
            ]
        )
        return bool(replies[-1])

    async def find(self, decision_id: str) -> bytes | None:
        """The record of a decision, or None."""
        [found] = await self._run([("GET", _decision(decision_id))])
        return cast("bytes | None", found)

    async def find_snapshot(self, version: str) -> bytes | None:
        """A snapshot, or None."""
        [found] = await self._run([("GET", _snapshot(version))])
        return cast("bytes | None", found)

    async def _run(self, commands: Sequence[tuple[object, ...]]) -> list[object]:
        return all_good(await self._client.run(commands))


def _decision(decision_id: str) -> str:
    return f"arb:decision:{decision_id}"


def _snapshot(version: str) -> str:
    return f"arb:snapshot:{version}"
