"""What contact policies count, and whom they take out: loops over records, keys and candidates.

The names of the records are looked up once for all policies. The records that a policy counts of one
request hang together in a chain, from the last one on, and only one that is long enough to matter is told
apart by its keys.
"""

import numpy as np
from numpy.typing import NDArray

from numerics.compiling import compiled, part
from service.decisioning.stages import STILL_IN

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Places = NDArray[np.int32]

POLICY, ROW, KEY, COUNTED = range(4)
"""The columns of a table of cells: what a policy counts for a request under a key."""
PLACE, LIMIT, PER, WITHIN, REST, REACH, HORIZON, SUPPRESSES, RESERVES, SHARED = range(10)
"""The columns of a table of policies: the place of each among all, the kind of names per which it counts, and
what `frequency.Frequency` tells."""
FIRST_SLOT, MASK, COUNT = range(3)
"""The columns of a table of kinds of names: the first slot of each among those of all, the bits of a hash
that tell the slot (-1: the kind does not matter), and how many names there are."""

ISSUE, GROUP = 2, 3
"""Kinds of names, in their order in a record."""
TOGETHER = -1
"""The kind per which everything is counted together."""
FIRST_WORD = 3
"""A record of the history is words of 32 bits; from this one on they are names."""

EVERY_KEY = -1
"""The key of a cell that stands for all that its policy covers."""
UNKNOWN = -1
"""The count of such a cell: nobody can tell."""


@part
def find_names(words: NDArray[np.uint32], kinds: Ints, hashes: NDArray[np.uint64], places: Ints) -> Places:
    """The places of the names of t records, 6 x t, of the kinds that matter. A name is in the slot that the
    last bits of its hash tell, or in one behind it; the count of names stands for all others."""
    found = np.empty((len(kinds), len(words)), np.int32)
    for kind in range(len(kinds)):
        first, mask, count = kinds[kind, FIRST_SLOT], kinds[kind, MASK], kinds[kind, COUNT]
        for record in range(len(words) if mask >= 0 else 0):
            hashed = np.uint64(words[record, FIRST_WORD + kind])
            if kind == GROUP:
                hashed |= np.uint64(words[record, FIRST_WORD + ISSUE]) << np.uint64(32)
            slot = np.int64(hashed) & mask
            while hashes[first + slot] != hashed and places[first + slot] != count:
                slot = (slot + 1) & mask
            found[kind, record] = places[first + slot]
    return found


@part
def wanted(number: int, record: int, found: Places, first_wants: Ints, wants: NDArray[np.bool_]) -> bool:
    """Whether a policy wants all the names of a record."""
    for kind in range(len(found)):
        first = first_wants[number, kind]
        if first >= 0 and not wants[first + found[kind, record]]:
            return False
    return True


@part
def chain(
    number: int,
    reach: float,
    rows: Ints,
    times: Floats,
    expires: Floats,
    now: Floats,
    found: Places,
    first_wants: Ints,
    wants: NDArray[np.bool_],
    totals: Ints,
    last: Places,
    before: Places,
) -> None:
    """Make a chain for each request out of the records that a policy counts, those that matter still and have
    the names that it wants: how many they are, the last of them, and of each the one before it. -1: there is
    none."""
    totals[:], last[:] = 0, -1
    for record in range(len(rows)):
        row = rows[record]
        matters = times[record] + reach > now[row] and expires[record] > now[row]
        if matters and wanted(number, record, found, first_wants, wants):
            totals[row] += 1
            before[record], last[row] = last[row], record


@part
def chain_keys(record: int, before: Places, keys: Places, sizes: Places, last: Places, seen: Places) -> int:
    """Make a chain for each key out of the one that ends in a record: the sizes of each and its last record,
    and in place the one `before` each. How many keys were `seen`."""
    number = 0
    while record >= 0:
        following, key = before[record], keys[record]
        if last[key] < 0:
            seen[number], sizes[key] = key, 0
            number += 1
        before[record], last[key] = last[key], record
        sizes[key] += 1
        record = following
    return number


@part
def sort_in(values: Floats, size: int, value: float) -> None:
    """Put one more value among so many that descend."""
    while size > 0 and values[size - 1] < value:
        values[size] = values[size - 1]
        size -= 1
    values[size] = value


@part
def end_of_cap(policy: Floats, ceasing: Floats, size: int) -> tuple[int, float]:
    """How many records count, and until when they make a cap hold, by the times, from the last one on, at
    which they cease to count; -inf where it does not hold."""
    limit = int(policy[LIMIT])
    return size, ceasing[limit - 1] if size >= limit else -np.inf


@part
def end_of_pause(policy: Floats, times: Floats, size: int, now: float) -> tuple[int, float]:
    """The same of a pause, by the times of its records, from the last one on. It was set off by the last one
    that has enough others within its window, and these count."""
    within, others = policy[WITHIN], int(policy[LIMIT]) - 1
    for last in range(size - others):
        moment, first = times[last], last + others
        if times[first] + within > moment:
            while first + 1 < size and times[first + 1] + within > moment:
                first += 1
            until = moment + policy[REST]
            return first - last + 1, until if until > now else -np.inf
    return size, -np.inf


@part
def end(
    policy: Floats, record: int, before: Places, times: Floats, expires: Floats, now: float, values: Floats
) -> tuple[int, float]:
    """How many records of the chain that ends in one count, and until when they make the policy hold."""
    pauses, size = policy[REST] > 0.0, 0
    while record >= 0:
        moment = times[record]
        sort_in(values, size, moment if pauses else min(moment + policy[WITHIN], expires[record]))
        size += 1
        record = before[record]
    return end_of_pause(policy, values, size, now) if pauses else end_of_cap(policy, values, size)


@part
def shuts(policy: Floats, since: float, closed: bool, now: float) -> bool:
    """Whether a policy holds for all that it covers: its count can't be known, or nothing can be reserved."""
    unknown = policy[SUPPRESSES] > 0.0 and since > now - policy[HORIZON]
    return bool(unknown or (closed and policy[RESERVES] > 0.0))


@part
def least(policy: Floats, asked: int) -> int:
    """How many records of a key matter: those that make the policy hold, or leave less than is asked for."""
    return max(1, int(policy[LIMIT]) - (max(asked - 1, 0) if policy[SHARED] > 0.0 else 0))


@part
def put(
    cells: Ints, untils: Floats, m: int, policy: Floats, row: int, key: int, count: int, until: float
) -> int:
    """Write down one more cell behind `m` others."""
    cells[m, POLICY], cells[m, ROW], cells[m, KEY], cells[m, COUNTED] = int(policy[PLACE]), row, key, count
    untils[m] = until
    return m + 1


@compiled(
    "Tuple((i8[:, ::1], f8[::1]))"
    "(u4[:, ::1], i8[::1], f8[::1], f8[::1], f8[::1], b1[::1], f8[::1], i8[::1],"
    " i8[:, ::1], u8[::1], i8[::1], i8[:, ::1], b1[::1], f8[:, ::1])"
)
def tally(
    words: NDArray[np.uint32],
    rows: Ints,
    times: Floats,
    expires: Floats,
    since: Floats,
    closed: NDArray[np.bool_],
    now: Floats,
    asked: Ints,
    kinds: Ints,
    hashes: NDArray[np.uint64],
    places: Ints,
    first_wants: Ints,
    wants: NDArray[np.bool_],
    policies: Floats,
) -> tuple[Ints, Floats]:
    """What k policies count of t records for n requests: the columns of `counters.Cells`.

    The arrays are those of `touches.Touches`, how many actions each request asks for, and the tables of
    `counters.Counter`.
    """
    found = find_names(words, kinds, hashes, places)
    totals, last, before = np.empty_like(asked), np.empty(len(now), np.int32), np.empty(len(rows), np.int32)
    cells = np.empty((len(policies) * (len(rows) + len(now)), 4), np.int64)
    untils, values = np.empty(len(cells)), np.empty(len(rows))
    together, seen = np.zeros(len(rows), np.int32), np.empty(len(rows), np.int32)
    sizes = np.empty(kinds[:, COUNT].max() + 1, np.int32)
    ends = np.full(len(sizes), -1, np.int32)
    m = 0
    for number in range(len(policies)):
        policy, per = policies[number], int(policies[number, PER])
        keys = found[per] if per != TOGETHER else together
        reach = policy[REACH]
        chain(number, reach, rows, times, expires, now, found, first_wants, wants, totals, last, before)
        for row in range(len(now)):
            if shuts(policy, since[row], closed[row], now[row]):
                m = put(cells, untils, m, policy, row, EVERY_KEY, UNKNOWN, np.nan)
            enough = least(policy, asked[row])
            if totals[row] < enough:
                continue
            for key in seen[: chain_keys(last[row], before, keys, sizes, ends, seen)]:
                if sizes[key] >= enough:
                    count, until = end(policy, ends[key], before, times, expires, now[row], values)
                    if until > -np.inf or policy[SHARED] > 0.0:
                        m = put(cells, untils, m, policy, row, key, count, until)
                ends[key] = -1
    return cells[:m], untils[:m]


@compiled("void(i8[:, ::1], f8[::1], i8[::1], i4[:, :, ::1], i4[:, :, ::1], i8, i4[:, ::1])")
def take_out(
    cells: Ints,
    untils: Floats,
    channel: Ints,
    keys: Places,
    subjects: Places,
    first_code: int,
    removed_by: Places,
) -> None:
    """Take out (in place, n x A or more) the candidates for which a policy holds, where nothing else has done
    it before.

    The cells are the columns of `counters.Cells`, the candidates those of a `counters.Coverage`.
    """
    for cell in range(len(cells)):
        if untils[cell] == -np.inf:
            continue
        policy, row, key = cells[cell, POLICY], cells[cell, ROW], cells[cell, KEY]
        found = keys[policy, channel[row]]
        everything, at = key == EVERY_KEY, np.searchsorted(found, max(key, 0))
        while at < len(found) and (everything or found[at] == key):
            candidate = subjects[policy, channel[row], at]
            if removed_by[row, candidate] == STILL_IN:
                removed_by[row, candidate] = first_code + policy
            at += 1
