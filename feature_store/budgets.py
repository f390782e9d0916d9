"""Budgets that many workers share: counters in the store that are never overdrawn.

A worker leases a part of a budget and spends it without asking. It never says "so much more" but how much it
wants to hold *in all* and has spent in all, and hears how much that is: what was said twice, or answered and
never heard, changes nothing. Each budget is one hash: `leased` and `spent` by all, and by each worker what it
has `leased:` and `spent:`, and the `number:` of its last claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from feature_store.client import Client, Command, StoreUnavailable

PREFIX = "arb:"

CLAIM = """
local worker, number = ARGV[1], tonumber(ARGV[2])
local wanted, spent = tonumber(ARGV[3]), tonumber(ARGV[4])
local ceiling, unit, starves, yields = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1', ARGV[8] == '1'
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local mine_key, spent_key, number_key = 'leased:' .. worker, 'spent:' .. worker, 'number:' .. worker
local stored = redis.call('HMGET', KEYS[1], 'leased', 'spent', 'starved', mine_key, spent_key, number_key)
local leased, all_spent = tonumber(stored[1] or '0'), tonumber(stored[2] or '0')
local starved, mine = tonumber(stored[3] or '0'), tonumber(stored[4] or '0')
local was_spent, last = tonumber(stored[5] or '0'), tonumber(stored[6] or '0')
local function text(amount) return string.format('%.17g', amount) end
if number > last then
  local owed = math.max(0, spent - mine)
  mine, leased = mine + owed, leased + owed
  if yields and now - starved < 3 then wanted = spent end
  local change = wanted - mine
  if change > 0 then
    local free = ceiling - leased
    local part = math.max(unit, math.floor(free / 4 / unit) * unit)
    change = math.max(0, math.floor(math.min(change, free, part) / unit + 1e-9) * unit)
    if change == 0 and starves then
      starved = now
      redis.call('HSET', KEYS[1], 'starved', text(now))
    end
  end
  mine, leased, all_spent = mine + change, leased + change, all_spent + spent - was_spent
  redis.call('HSET', KEYS[1], 'leased', text(leased), 'spent', text(all_spent),
    mine_key, text(mine), spent_key, text(spent), number_key, ARGV[2])
  redis.call('EXPIREAT', KEYS[1], ARGV[9])
end
return {text(mine), text(leased), text(all_spent), text(now - starved)}
"""
"""Arguments: the worker, the number of its claim; what it wants to hold in all, and has spent of it;
how much all may hold by now, the least amount that is handed out, whether it could have spent what it has not
(1), whether it makes do with what it has spent if it is so with another one (1), and when the counter is
forgotten.

A claim older than the last changes nothing. What was spent counts even where it was never leased, and of
little that is left everybody gets a part."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker says of one budget: see `CLAIM`. Times are epoch seconds."""

    budget: str
    worker: str
    number: int
    wanted: float
    spent: float
    ceiling: float
    unit: float
    starves: bool
    yields: bool
    forgotten_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands: what the worker holds of it in all, what all hold and have spent, and how many
    seconds ago a worker that starved got nothing."""

    mine: float
    leased: float
    spent: float
    starved: float


class Budgets:
    """The budgets in a store."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def claim(self, claims: Sequence[Claim]) -> list[Standing | StoreUnavailable]:
        """Make claims on budgets, in one round trip. In the place of one that failed, why; it may be made
        again, with a higher number.

        Raises:
            StoreUnavailable: the store is away.
        """
        replies = await self._client.run([_command(claim) for claim in claims])
        return [
            StoreUnavailable(str(reply)) if isinstance(reply, Exception) else Standing(*map(float, reply))
            for reply in replies
        ]


def _command(claim: Claim) -> Command:
    return (
        "EVAL",
        CLAIM,
        1,
        PREFIX + claim.budget,
        claim.worker,
        claim.number,
        repr(claim.wanted),
        repr(claim.spent),
        repr(claim.ceiling),
        repr(claim.unit),
        int(claim.starves),
        int(claim.yields),
        int(claim.forgotten_at),
    )
