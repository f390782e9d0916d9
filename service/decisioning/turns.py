"""Turns: at each rank of each slot one action is chosen among those that may stand there.

Compiled loops: one turn after the other, and for each its draws, its choice, and the exact probability of
that. Nothing here depends on the other requests of a batch, nor on actions that are no candidates: in
`scores` (A), the priorities at one turn, these have -inf.
"""

import math
from typing import NamedTuple

import numpy as np

from numerics.compiling import (
    Codes,
    CodeTable,
    Flags,
    FlagTable,
    FloatCube,
    Floats,
    FloatTable,
    Integers,
    IntegerTable,
    Keys,
    compiled,
    part,
)

NOBODY = -1
LEVELS = 64
"""M: how many values, all equally likely, a drawn propensity can have: probabilities are finite sums."""
METHODS = ("none", "epsilon", "softmax", "thompson", "uniform", "random_propensity")
_NONE, _EPSILON, _SOFTMAX, _THOMPSON, _UNIFORM, _RANDOM_PROPENSITY = range(6)

_TURN = 1
"""The branch of a decision's seed from which its turns draw."""
_COIN, _ANYBODY, _PICK, _PROPOSAL = range(4)
"""The branches of a turn's key: whether to explore, whether to choose anybody, whom, and what competes."""
_ONE, _GAMMA = np.uint64(1), np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SPARE_BITS, _LEVEL_BITS = np.uint64(12), np.uint64(64 - 6)
_LEAST = -np.finfo(np.float64).max
_MOST_EXPONENT = 1_023
_ROW, _SLOT, _RANK, _ACTION, _TREATMENT, _BUNDLE, _POSITION = range(7)
"""The rows of `Filled.picks`."""
_ROUNDED = 1.0 + 2.0**-20
"""More than the rounding of a value to 32 bits can make of it."""


class Ways(NamedTuple):
    """E explorations of A actions, as columns.

    method                                      E          its place in METHODS
    standing                                    E          whether it goes on when exploring can't be paid for
    share, floor, epsilon, temperature          E          as `Exploration` has them; 0 where they have no say
    noise                                       E          which of the noises it multiplies with
    noises                                      k x A x M  see `noise`; ascending
    worst, best                                 k x A      the first and the last of each
    actions                                     A          keys of the actions
    """

    method: Integers
    standing: Flags
    share: Floats
    floor: Floats
    epsilon: Floats
    temperature: Floats
    noise: Integers
    noises: FloatCube
    worst: FloatTable
    best: FloatTable
    actions: Keys


class Chance(NamedTuple):
    """What the turns of n requests are drawn with.

    way         n      which of the ways each explores in
    seeds       n
    explores    n      False: the best is taken, as exploring can't be paid for
    propensity  n x A  P of the priorities, NaN where there is no candidate
    """

    ways: Ways
    way: Integers
    seeds: Keys
    explores: Flags
    propensity: FloatTable


class Rules(NamedTuple):
    """What limits, bundles, tiers and mandatory actions make of the turns of n requests.

    duplicates           whether an action may stand several times in an answer
    left         n x K   how many more each limit lets into an answer; written to
    counts       K x A   1 for the actions that a limit counts
    needs        K x A   what choosing an action takes of a limit: a fixed bundle comes as a whole
    most         K       the most of these
    codes        K       of `removed_by`
    bundled              the actions of the bundles, one bundle after the other
    bundles      B + 1   where each begins there, and the end
    fixed        B       the code by which a fixed bundle keeps its actions out; 0 for a flexible one
    leads        A       the bundle that begins with an action, -1 where there is none
    follows      A       who stands in fixed bundles only
    tiers        A       the lowest come first whatever the priorities
    mandatory    n x A   who comes before all tiers; 0 x A where nobody does
    """

    duplicates: bool
    left: IntegerTable
    counts: IntegerTable
    needs: IntegerTable
    most: Integers
    codes: Integers
    bundled: Integers
    bundles: Integers
    fixed: Integers
    leads: Integers
    follows: Flags
    tiers: Integers
    mandatory: FlagTable


class Asked(NamedTuple):
    """What n requests ask for, and who is there for it.

    limits                   n x S  how many actions each slot asks for
    removed_by               n x A  0 for the candidates; written to: why they were not chosen
    priority                 n x A
    fallbacks                A      who stands only where a slot would stay empty
    treatments               S x A  of each action in each slot; -1 where there is none
    ruled_slot, ruled_action e      where there is another one for each request, or none
    ruled                    n x e  which one
    """

    limits: CodeTable
    removed_by: CodeTable
    priority: FloatTable
    fallbacks: Flags
    treatments: CodeTable
    ruled_slot: Integers
    ruled_action: Integers
    ruled: CodeTable


class Reasons(NamedTuple):
    """The codes of `removed_by` for who is not chosen, and how far each code lets a candidate get."""

    outranked: int
    not_needed: int
    not_in_placement: int
    progress: Integers


class Filled(NamedTuple):
    """What becomes of T turns, in order of (row, slot, rank), and of the slots; written to.

    picks   7 x T  row, slot, rank, action, treatment, bundle, position as `slate.Slate` has them; the action
                   is nobody at turns that were not taken
    stated  2 x T  the probability and the cost of each choice
    empty   n x S  the code by which the last of the candidates of an empty slot went; nobody for the others
    """

    picks: IntegerTable
    stated: FloatTable
    empty: IntegerTable


class Outcome(NamedTuple):
    """The same of the k turns that were taken, and of the m slots that stay empty.

    picks   7 x k
    stated  2 x k
    empty   3 x m  row, slot and code
    """

    picks: IntegerTable
    stated: FloatTable
    empty: IntegerTable


class Turn(NamedTuple):
    """One turn: what it draws with, and how it explores."""

    key: np.uint64
    method: int
    share: float
    floor: float
    epsilon: float
    temperature: float


class Lots(NamedTuple):
    """What candidates draw at a turn of which drawn propensities decide, A actions.

    noise  A x M  the multipliers, all equally likely, ascending
    worst  A      the first of them
    best   A      the last
    most   A      no multiplier counts for more, as nothing is more probable than 1
    worth  A      what they multiply, at least 0, scaled by a power of two: that rounds nothing, and keeps
                  values in the range of floats of 32 bits, as which they are compared
    """

    noise: FloatTable
    worst: Floats
    best: Floats
    most: Floats
    worth: Floats


class Field(NamedTuple):
    """Who takes part while an answer is filled, A each.

    scores      the priorities of who may stand in a slot, and
    candidates  of who may be chosen at a turn
    treatments  of the slot
    shut        the code of what shuts out an action at a turn, and
    kept_out    what first kept a candidate of the answer from being chosen; 0 where nothing did
    classes     who comes before whom whatever the priorities, the lowest first
    chosen      who stands in the answer
    considered  who was looked at
    """

    scores: Floats
    candidates: Floats
    treatments: Codes
    shut: Integers
    kept_out: Integers
    classes: Integers
    chosen: Flags
    considered: Flags


class Scratch(NamedTuple):
    """Room for the values that a choice and a rival of it can draw, and how often it wins with each of its
    own; M each."""

    mine: Codes
    theirs: Codes
    wins: Floats


@part
def _mixed(key: np.uint64) -> np.uint64:
    """`draws.mixed` of one key."""
    key ^= key >> _SHIFTS[0]
    key *= _FACTORS[0]
    key ^= key >> _SHIFTS[1]
    key *= _FACTORS[1]
    return key ^ (key >> _SHIFTS[2])


@part
def _branch(key: np.uint64, number: int) -> np.uint64:
    """`draws.branch` of one key."""
    return _mixed(key + (np.uint64(number) + _ONE) * _GAMMA)


@part
def _uniform(key: np.uint64) -> float:
    """`draws.uniforms` of one key."""
    return (np.float64(key >> _SPARE_BITS) + 0.5) * 2.0**-52


@part
def _turn_of(chance: Chance, row: int, slot: int, rank: int) -> Turn:
    ways, way = chance.ways, chance.way[row]
    share = ways.share[way] if chance.explores[row] or ways.standing[way] else 0.0
    key = _branch(_branch(_branch(chance.seeds[row], _TURN), slot), rank)
    return Turn(key, ways.method[way], share, ways.floor[way], ways.epsilon[way], ways.temperature[way])


@part
def _lots_of(chance: Chance, row: int) -> Lots:
    """With room for what candidates are worth at a turn; see `_weigh`."""
    ways, noise = chance.ways, chance.ways.noise[chance.way[row]]
    most, worth = np.empty(len(ways.actions)), np.empty(len(ways.actions))
    return Lots(ways.noises[noise], ways.worst[noise], ways.best[noise], most, worth)


@part
def _explores(turn: Turn) -> bool:
    return _uniform(_branch(turn.key, _COIN)) < turn.share


@part
def _draws(turn: Turn) -> bool:
    return turn.method == _THOMPSON or turn.method == _RANDOM_PROPENSITY


@part
def _best(scores: Floats) -> int:
    """The highest score, of equal ones the first; nobody where there is no candidate."""
    best, highest = NOBODY, -np.inf
    for action in range(len(scores)):
        if scores[action] > highest:
            best, highest = action, scores[action]
    return best


@part
def _number(scores: Floats) -> int:
    """How many candidates there are."""
    number = 0
    for score in scores:
        number += score > -np.inf
    return number


@part
def _uniform_weight(turn: Turn, number: int) -> float:
    """What the uniform choice among so many candidates weighs: what the floor needs, and epsilon of the
    rest."""
    floored = number * min(turn.floor, 1.0 / number)
    return 1.0 - (1.0 - floored) * (1.0 - turn.epsilon)


@part
def _weigh(turn: Turn, scores: Floats, propensity: Floats, lots: Lots) -> None:
    """What drawn propensities multiply: what the model's are multiplied with, or the rest of the score."""
    best = 0.0
    for action in range(len(scores)):
        P, worth = propensity[action], scores[action]
        lots.most[action] = np.inf
        if P > 0.0 and turn.method == _THOMPSON:
            lots.most[action] = 1.0 / P
        elif P > 0.0:
            worth /= P
        lots.worth[action] = max(0.0, worth)
        best = max(best, lots.worth[action])
    scale = math.ldexp(1.0, min(-math.frexp(best)[1], _MOST_EXPONENT))
    for action in range(len(scores)):
        lots.worth[action] *= scale


@part
def _chosen(turn: Turn, scores: Floats, actions: Keys, lots: Lots) -> int:
    """Who is chosen of some candidates."""
    if not _explores(turn):
        return _best(scores)
    coin = _uniform(_branch(turn.key, _ANYBODY))
    if coin < _uniform_weight(turn, max(_number(scores), 1)):
        return _any_of(_branch(turn.key, _PICK), scores, actions)
    key = _branch(turn.key, _PROPOSAL)
    if turn.method == _UNIFORM:
        return _any_of(key, scores, actions)
    if turn.method == _SOFTMAX:
        return _by_softmax(key, scores, actions, turn.temperature)
    return _by_lots(key, scores, actions, lots) if _draws(turn) else _best(scores)


@part
def _any_of(key: np.uint64, scores: Floats, actions: Keys) -> int:
    """All have the same chance: the highest draw wins."""
    winner, highest = NOBODY, -np.inf
    for action in range(len(scores)):
        if scores[action] > -np.inf:
            value = _uniform(_mixed(key ^ actions[action]))
            if value > highest:
                winner, highest = action, value
    return winner


@part
def _by_softmax(key: np.uint64, scores: Floats, actions: Keys, temperature: float) -> int:
    """In proportion to score^(1/temperature): the highest sum of the logarithm of the weight and a draw of
    Gumbel's law wins (Gumbel, Statistical Theory of Extreme Values, 1954)."""
    winner, highest = NOBODY, -np.inf
    for action in range(len(scores)):
        if scores[action] > -np.inf:
            weight = math.log(scores[action]) / temperature if scores[action] > 0.0 else -np.inf
            lot = -math.log(-math.log(_uniform(_mixed(key ^ actions[action]))))
            value = max(weight + lot, _LEAST)
            if value > highest:
                winner, highest = action, value
    return winner


@part
def _by_lots(key: np.uint64, scores: Floats, actions: Keys, lots: Lots) -> int:
    """The highest product of worth and a drawn multiplier wins."""
    winner, highest = NOBODY, np.float32(-np.inf)
    for action in range(len(scores)):
        if scores[action] > -np.inf:
            multiplier = lots.noise[action, _level(key, actions[action])]
            value = np.float32(lots.worth[action] * min(multiplier, lots.most[action]))
            if value > highest:
                winner, highest = action, value
    return winner


@part
def _level(key: np.uint64, action: np.uint64) -> int:
    """Which of the M multipliers an action draws."""
    return int(_mixed(key ^ action) >> _LEVEL_BITS)


@part
def _probability(turn: Turn, scores: Floats, best: int, choice: int, lots: Lots, s: Scratch) -> float:
    """With which a candidate is chosen, before the coins are thrown."""
    number, is_best = _number(scores), 1.0 if choice == best else 0.0
    if number == 1 or turn.share == 0.0:
        return is_best
    if turn.method == _SOFTMAX:
        proposed = _softmax(scores, turn.temperature, best, choice)
    elif turn.method == _UNIFORM:
        proposed = 1.0 / number
    else:
        proposed = _lottery(scores, choice, lots, s) if _draws(turn) else is_best
    weight = _uniform_weight(turn, number)
    proposed = (1.0 - weight) * proposed + weight / number
    return (1.0 - turn.share) * is_best + turn.share * proposed


@part
def _softmax(scores: Floats, temperature: float, best: int, choice: int) -> float:
    """By the ratios of scores and not by their scale. Where none is above 0, the first of the best."""
    if scores[best] <= 0.0:
        return 1.0 if choice == best else 0.0
    total = 0.0
    for score in scores:
        if score > 0.0:
            total += (score / scores[best]) ** (1.0 / temperature)
    return float((max(scores[choice], 0.0) / scores[best]) ** (1.0 / temperature) / total)


@part
def _lottery(scores: Floats, choice: int, lots: Lots, s: Scratch) -> float:
    """The mean, over the M values that a candidate can draw, of the product over its rivals of the share of
    their values below; of equal values the first action's wins.

    Who can't reach the worst draw of another is out of the race from the beginning, so few are left where
    much is known.
    """
    least = 0.0
    for action in range(len(scores)):
        least = max(least, lots.worth[action] * lots.worst[action])
    if not _races(choice, least, lots):
        return 0.0
    _draw_all(choice, lots, s.mine)
    for level in range(LEVELS):
        s.wins[level] = 1.0
    hopeless = int(np.intp(0))
    for rival in range(len(scores)):
        if scores[rival] > -np.inf and rival != choice and _races(rival, least, lots):
            _draw_all(rival, lots, s.theirs)
            _outdo(s, hopeless, choice < rival)
            while s.wins[hopeless] == 0.0:
                hopeless += 1
                if hopeless == LEVELS:
                    return 0.0
    total = 0.0
    for level in range(LEVELS):
        total += s.wins[level]
    return total / LEVELS


@part
def _races(action: int, least: float, lots: Lots) -> bool:
    """Whether an action reaches so much with its best draw."""
    best = min(lots.best[action], lots.most[action])
    return bool(lots.worth[action] * best * _ROUNDED >= least)


@part
def _draw_all(action: int, lots: Lots, values: Codes) -> None:
    """The M values that an action can draw, ascending, by their bits, which ascend as they do."""
    worth, most, found = lots.worth[action], lots.most[action], values.view(np.float32)
    for level in range(LEVELS):
        found[level] = worth * min(lots.noise[action, level], most)


@part
def _outdo(s: Scratch, hopeless: int, wins_ties: bool) -> None:
    """Multiply how often each of my values wins with the share of a rival's values below. Those before
    `hopeless` don't win any more."""
    below = 0
    for mine in range(hopeless, LEVELS):
        reach = s.mine[mine] + wins_ties
        while below < LEVELS and s.theirs[below] < reach:
            below += 1
        s.wins[mine] *= below / LEVELS


@part
def _scratch() -> Scratch:
    return Scratch(np.empty(LEVELS, np.int32), np.empty(LEVELS, np.int32), np.empty(LEVELS))


@part
def _field(actions: int) -> Field:
    """Room for so many actions."""
    return Field(
        np.empty(actions),
        np.empty(actions),
        np.empty(actions, np.int32),
        np.empty(actions, np.intp),
        np.empty(actions, np.intp),
        np.empty(actions, np.intp),
        np.empty(actions, np.bool_),
        np.empty(actions, np.bool_),
    )


@part
def _shut(rules: Rules, row: int, left: int, scores: Floats, shut: Integers) -> None:
    """The code of the first limit that has no room for an action, or of its fixed bundle that can't be placed
    as a whole in as many ranks as are `left`; 0 where nothing shuts it out."""
    for action in range(len(shut)):
        shut[action] = 0
    for limit in range(len(rules.most)):
        room = rules.left[row, limit]
        if room < rules.most[limit]:
            for action in range(len(shut)):
                if shut[action] == 0 and rules.needs[limit, action] > max(room, 0):
                    shut[action] = rules.codes[limit]
    for bundle in range(len(rules.fixed)):
        begin, end = rules.bundles[bundle], rules.bundles[bundle + 1]
        lead = rules.bundled[begin]
        if rules.fixed[bundle] and shut[lead] == 0:
            whole = end - begin <= left
            for member in range(begin, end):
                whole = whole and scores[rules.bundled[member]] > -np.inf
            if not whole:
                shut[lead] = rules.fixed[bundle]


@part
def _enter(rules: Rules, row: int, field: Field) -> None:
    """Before the first turn of an answer. Mandatory actions come first, then tier after tier."""
    for action in range(len(field.classes)):
        field.kept_out[action] = 0
        field.chosen[action] = field.considered[action] = False
        mandatory = len(rules.mandatory) > 0 and rules.mandatory[row, action]
        field.classes[action] = -1 if mandatory else rules.tiers[action]


@part
def _narrow(follows: Flags, field: Field) -> None:
    """Leave those of the best class that have room."""
    best = np.iinfo(np.intp).max
    for action in range(len(follows)):
        stays = (field.shut[action] == 0) & (not follows[action])  # no branch: it could not be foretold
        field.candidates[action] = field.scores[action] if stays else -np.inf
        best = min(best, field.classes[action]) if field.candidates[action] > -np.inf else best
    for action in range(len(follows)):
        if field.classes[action] > best:
            field.candidates[action] = -np.inf


@part
def _follower(rules: Rules, bundle: int, field: Field) -> int:
    """Who comes next of the bundle that is being placed, or nobody."""
    if bundle != NOBODY:
        for member in range(rules.bundles[bundle] + 1, rules.bundles[bundle + 1]):
            action = int(rules.bundled[member])
            if field.scores[action] > -np.inf and field.shut[action] == 0:
                return action
    return NOBODY


@part
def _note(follows: Flags, choice: int, field: Field) -> None:
    """Remember who would have come before the choice had they not been shut out."""
    for action in range(len(follows)):
        out = field.shut[action] != 0 and field.scores[action] > -np.inf and not follows[action]
        if out and field.kept_out[action] == 0 and _comes_before(action, choice, field):
            field.kept_out[action] = field.shut[action]


@part
def _comes_before(action: int, choice: int, field: Field) -> bool:
    if choice == NOBODY:
        return True
    if field.classes[action] != field.classes[choice]:
        return bool(field.classes[action] < field.classes[choice])
    if field.scores[action] != field.scores[choice]:
        return bool(field.scores[action] > field.scores[choice])
    return action < choice


@part
def _open(asked: Asked, rules: Rules, row: int, slot: int, last_resort: bool, field: Field) -> None:
    """Who may stand in a slot: the ordinary candidates, or else fallbacks."""
    for action in range(len(field.treatments)):
        field.treatments[action] = asked.treatments[slot, action]
    for pair in range(len(asked.ruled_slot)):
        if asked.ruled_slot[pair] == slot:
            field.treatments[asked.ruled_action[pair]] = asked.ruled[row, pair]
    for action in range(len(field.scores)):
        field.scores[action] = -np.inf
        fits = field.treatments[action] >= 0 and asked.fallbacks[action] == last_resort
        if fits and asked.removed_by[row, action] == 0 and asked.priority[row, action] > -np.inf:
            field.considered[action] = True
            if rules.duplicates or not field.chosen[action]:
                field.scores[action] = asked.priority[row, action]


@part
def _fill_slot(
    rules: Rules,
    chance: Chance,
    row: int,
    slot: int,
    begin: int,
    end: int,
    field: Field,
    filled: Filled,
    s: Scratch,
) -> None:
    """Rank by rank, which are the turns from `begin` to `end`, until there is no candidate."""
    picks, stated, lots = filled.picks, filled.stated, _lots_of(chance, row)
    bundle, position = int(np.intp(NOBODY)), 0
    for turn in range(begin, end):
        _shut(rules, row, end - turn, field.scores, field.shut)
        action = _follower(rules, bundle, field)
        if action != NOBODY:
            picks[_BUNDLE, turn - 1] = picks[_BUNDLE, turn] = bundle  # who leads, too, as somebody follows
            picks[_POSITION, turn - 1], picks[_POSITION, turn] = position, position + 1
            stated[0, turn], stated[1, turn] = 1.0, 0.0
            position += 1
        else:
            _narrow(rules.follows, field)
            how = _turn_of(chance, row, slot, turn - begin + 1)
            if _draws(how):
                _weigh(how, field.candidates, chance.propensity[row], lots)
            action = _chosen(how, field.candidates, chance.ways.actions, lots)
            _note(rules.follows, action, field)
            if action == NOBODY:
                return
            best = _best(field.candidates)
            stated[0, turn] = _probability(how, field.candidates, best, action, lots, s)
            standing = chance.ways.standing[chance.way[row]]
            stated[1, turn] = 0.0 if standing else field.scores[best] - field.scores[action]
            bundle, position = rules.leads[action], 1
            picks[_POSITION, turn] = 0
        picks[_ROW, turn], picks[_SLOT, turn], picks[_RANK, turn] = row, slot, turn - begin + 1
        picks[_ACTION, turn], picks[_TREATMENT, turn] = action, field.treatments[action]
        field.chosen[action], field.scores[action] = True, -np.inf
        for limit in range(len(rules.most)):
            rules.left[row, limit] -= rules.counts[limit, action]


@part
def _give_reasons(
    asked: Asked, rules: Rules, reasons: Reasons, row: int, first: int, field: Field, filled: Filled
) -> None:
    """Why candidates were not chosen, and why slots stay empty."""
    for bundle in range(len(rules.fixed)):  # the others are out for the reason of their lead
        if rules.fixed[bundle]:
            begin, end = rules.bundles[bundle], rules.bundles[bundle + 1]
            lead = rules.bundled[begin]
            for member in range(begin + 1, end):
                field.kept_out[rules.bundled[member]] = 0 if field.chosen[lead] else field.kept_out[lead]
    removed_by = asked.removed_by[row]
    for action in range(len(removed_by)):
        if removed_by[action] == 0 and not field.chosen[action]:
            removed_by[action] = field.kept_out[action]
    for slot in range(asked.limits.shape[1]):
        asks = min(asked.limits[row, slot], len(removed_by))
        if asked.limits[row, slot] > 0 and (asks == 0 or filled.picks[_ACTION, first] == NOBODY):
            filled.empty[row, slot] = _furthest(asked, reasons, removed_by, slot)
        first += asks
    for action in range(len(removed_by)):
        if removed_by[action] == 0 and not field.chosen[action]:
            unneeded = asked.fallbacks[action] and not field.considered[action]
            removed_by[action] = reasons.not_needed if unneeded else reasons.outranked


@part
def _furthest(asked: Asked, reasons: Reasons, removed_by: Codes, slot: int) -> int:
    """The code of the first of the actions with a treatment in a slot that got furthest."""
    furthest, code = -1, reasons.not_in_placement
    for action in range(len(removed_by)):
        progress = reasons.progress[removed_by[action]]
        if asked.treatments[slot, action] >= 0 and progress > furthest:
            furthest, code = progress, removed_by[action]
    return code


@part
def _to_fill(limits: CodeTable, actions: int) -> Filled:
    """Room for as many turns as there may be."""
    turns = int(np.minimum(limits, actions).sum())
    return Filled(
        np.full((7, turns), NOBODY, np.intp), np.empty((2, turns)), np.full(limits.shape, NOBODY, np.intp)
    )


@part
def _outcome(filled: Filled) -> Outcome:
    """Without the turns that were not taken, and the slots that were filled."""
    taken = np.flatnonzero(filled.picks[_ACTION] != NOBODY)
    picks, stated = np.empty((7, len(taken)), np.intp), np.empty((2, len(taken)))
    for column in range(len(picks)):
        picks[column] = filled.picks[column][taken]
    for column in range(len(stated)):
        stated[column] = filled.stated[column][taken]
    rows, slots = np.nonzero(filled.empty != NOBODY)
    empty = np.empty((3, len(rows)), np.intp)
    for place in range(len(rows)):
        row, slot = rows[place], slots[place]
        empty[0, place], empty[1, place], empty[2, place] = row, slot, filled.empty[row, slot]
    return Outcome(picks, stated, empty)


@compiled()
def fill(asked: Asked, rules: Rules, chance: Chance, reasons: Reasons) -> Outcome:
    """Fill the slots of all requests: those of each in their order, first with ordinary candidates, then the
    empty ones with fallbacks."""
    actions = asked.priority.shape[1]
    field, filled, s = _field(actions), _to_fill(asked.limits, actions), _scratch()
    first = int(np.intp(0))
    for row in range(len(asked.limits)):
        _enter(rules, row, field)
        for last_resort in (False, True):
            begin = first
            for slot in range(asked.limits.shape[1]):
                end = begin + min(asked.limits[row, slot], actions)
                if begin < end and filled.picks[_ACTION, begin] == NOBODY:
                    _open(asked, rules, row, slot, last_resort, field)
                    _fill_slot(rules, chance, row, slot, begin, end, field, filled, s)
                begin = end
        _give_reasons(asked, rules, reasons, row, first, field, filled)
        first = begin
    return _outcome(filled)


@compiled()
def narrow(rules: Rules, row: int, left: int, scores: Floats) -> Field:
    """Who of those with a score (A) may be chosen where so many ranks are left."""
    field = _field(len(scores))
    field.scores[:] = scores
    _enter(rules, row, field)
    _shut(rules, row, left, field.scores, field.shut)
    _narrow(rules.follows, field)
    return field


@part
def _drawn(turn: Turn, propensity: float, action: int, level: int, lots: Lots) -> float:
    """The propensity that a level stands for; NaN for who is out."""
    multiplier = min(lots.noise[action, level], lots.most[action])
    if turn.method == _THOMPSON or np.isnan(propensity):
        return float(propensity * multiplier)
    return float(multiplier)


@compiled()
def odds(
    chance: Chance,
    row: int,
    slot: int,
    rank: int,
    scores: Floats,
    among: Integers,
    probability: Floats,
    drawn: Floats,
) -> None:
    """With which probability a turn takes each of k candidates, and the drawn propensity that these compete
    with; NaN where it draws none. `scores` is A, the others are k."""
    turn, lots, s = _turn_of(chance, row, slot, rank), _lots_of(chance, row), _scratch()
    draws = _draws(turn) and _explores(turn)
    _weigh(turn, scores, chance.propensity[row], lots)
    best, key = _best(scores), _branch(turn.key, _PROPOSAL)
    for place in range(len(among)):
        action = among[place]
        probability[place] = _probability(turn, scores, best, action, lots, s)
        level = _level(key, chance.ways.actions[action])
        drawn[place] = _drawn(turn, chance.propensity[row, action], action, level, lots) if draws else np.nan
