"""The contest for a place: who may take part in a turn beside having a priority, and what kept out the
others."""

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.headroom import Headroom
from service.decisioning.room import Room
from service.decisioning.slate_rules import NOBODY
from service.decisioning.snapshot import Snapshot
from service.decisioning.turns import Choices, Turns

NO_CLASS = np.iinfo(np.int8).max


class Contest:
    """What limits, bundles, tiers and mandatory actions make of the turns of a batch.

    kept_out  n x A  the code of what first kept a candidate from being chosen; 0 where nothing did
    classes   n x A  who comes before whom whatever the priorities, the lowest first; None: everybody is equal
    """

    def __init__(
        self,
        snapshot: Snapshot,
        batch: Batch,
        removed_by: NDArray[np.int32],
        mandatory: NDArray[np.bool_] | None = None,
        caps: Headroom | None = None,
    ) -> None:
        self.kept_out = np.zeros_like(removed_by)
        self._rules = snapshot.slate_rules
        self._room = Room(snapshot, batch, caps)
        self.classes = _classes(self._rules.tiers, mandatory, removed_by.shape)

    @staticmethod
    def needed(snapshot: Snapshot, batch: Batch, mandatory: NDArray[np.bool_] | None) -> bool:
        """Whether anything but the priority counts."""
        policy = snapshot.slate_policy
        if policy.limits or policy.bundles or policy.tiers is not None:
            return True
        if mandatory is not None and mandatory.any():
            return True
        asked = batch.limits.sum(axis=1)
        return batch.budgets is not None and bool((batch.budgets < asked[:, None]).any())

    def drop_incomplete(self, removed_by: NDArray[np.int32]) -> None:
        """Take out (in place) what is left of fixed bundles of which an action is out."""
        for bundle in self._rules.fixed:
            left = removed_by[:, bundle.members] == 0
            broken = left & ~left.all(axis=1, keepdims=True)
            removed_by[:, bundle.members] = np.where(broken, bundle.code, removed_by[:, bundle.members])

    def narrowed(
        self, rows: NDArray[np.intp], scores: NDArray[np.float64], ranks: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The scores (m x A, -inf for who may not be chosen) of the best class that has room, and the codes
        of what shuts out the others. `ranks` (m) says how many are left in the slot."""
        shut = self._room.shut(rows)
        for bundle in self._rules.fixed:
            whole = (scores[:, bundle.members] > -np.inf).all(axis=1) & (ranks >= len(bundle.members))
            found = shut[:, bundle.lead]
            shut[:, bundle.lead] = np.where(~whole & (found == 0), bundle.code, found)
        takes_part = (scores > -np.inf) & (shut == 0)
        if self._rules.follows is not None:
            takes_part &= ~self._rules.follows
        if self.classes is not None:
            classes = np.where(takes_part, self.classes[rows], NO_CLASS)
            takes_part &= classes == classes.min(axis=1, keepdims=True, initial=NO_CLASS)
        return np.where(takes_part, scores, -np.inf), shut

    def followers(
        self, bundle: NDArray[np.intp], scores: NDArray[np.float64], shut: NDArray[np.int32]
    ) -> NDArray[np.intp]:
        """m: who comes next of the `bundle` (m) that is being placed, or nobody."""
        found = np.full(len(bundle), NOBODY, np.intp)
        begun = bundle[bundle != NOBODY]
        for number in np.unique(begun).tolist() if begun.size else ():
            rows = np.flatnonzero(bundle == number)
            others = np.array(self._rules.bundles[number].actions[1:], np.intp)
            cells = np.ix_(rows, others)
            may = (scores[cells] > -np.inf) & (shut[cells] == 0)
            found[rows] = np.where(may.any(axis=1), others[may.argmax(axis=1)], NOBODY)
        return found

    def led_by(self, actions: NDArray[np.intp]) -> NDArray[np.intp]:
        """The bundle that begins with each action, or none (-1); of nobody, none."""
        return np.where(actions == NOBODY, NOBODY, self._rules.leads[actions])

    def chosen(self, rows: NDArray[np.intp], actions: NDArray[np.intp]) -> None:
        """Book what was chosen for these rows."""
        self._room.take(rows, actions)

    def places(self, turns: Turns, choices: Choices) -> "Places":
        """The ranks that are filled at some turns."""
        return Places(self, turns, choices)

    def note(
        self,
        rows: NDArray[np.intp],
        scores: NDArray[np.float64],
        shut: NDArray[np.int32],
        choice: NDArray[np.intp],
        contested: NDArray[np.bool_],
    ) -> None:
        """Remember of the `contested` turns (m) who would have come before the choice (m, -1 for none) had
        they not been shut out."""
        at, action = np.nonzero((shut != 0) & (scores > -np.inf))
        new = contested[at] & (self.kept_out[rows[at], action] == 0)
        if self._rules.follows is not None:
            new &= ~self._rules.follows[action]
        at, action = at[new], action[new]
        if not at.size:
            return
        chosen, row = choice[at], rows[at]
        score, best = scores[at, action], np.where(chosen == NOBODY, -np.inf, scores[at, chosen])
        before = (score > best) | ((score == best) & (action < chosen))
        if self.classes is not None:
            mine = self.classes[row, action]
            theirs = np.where(chosen == NOBODY, NO_CLASS, self.classes[row, chosen])
            before = (mine < theirs) | ((mine == theirs) & before)
        self.kept_out[row[before], action[before]] = shut[at[before], action[before]]

    def share_reasons(self, rows: NDArray[np.intp], actions: NDArray[np.intp]) -> None:
        """The others of a fixed bundle are out for the reason of their lead, where that was not chosen."""
        for bundle in self._rules.fixed:
            reason = self.kept_out[:, bundle.lead].copy()
            reason[rows[actions == bundle.lead]] = 0
            self.kept_out[:, bundle.members[1:]] = reason[:, None]


class Places:
    """The ranks of the slots while they are being filled, at T turns.

    bundle    T  which one is placed there, -1 for none
    position  T  the place in it, from 1; 0 where there is no bundle
    """

    def __init__(self, contest: Contest, turns: Turns, choices: Choices) -> None:
        self._contest, self._turns, self._choices = contest, turns, choices
        self.bundle = np.full(len(turns), NOBODY, np.intp)
        self.position = np.zeros(len(turns), np.intp)

    def take(self, turns: NDArray[np.intp], scores: NDArray[np.float64]) -> NDArray[np.intp]:
        """Who is chosen at m turns, as `Choices` says: who has room, and who comes next in a bundle."""
        contest, rows = self._contest, self._turns.row[self._turns.visit[turns]]
        candidates, shut = contest.narrowed(rows, scores, self._turns.left[turns])
        begun = np.where(self._turns.rank[turns] > 1, self.bundle[turns - 1], NOBODY)
        action = contest.followers(begun, scores, shut)
        follows = action != NOBODY
        if not follows.any():
            action = self._choices.take(turns, candidates)
        elif (chooses := np.flatnonzero(~follows)).size:
            action[chooses] = self._choices.take(turns[chooses], candidates[chooses])
        if shut.any():
            contest.note(rows, scores, shut, action, ~follows)
        bundle = np.where(follows, begun, contest.led_by(action))
        self.bundle[turns] = bundle
        self.position[turns] = np.where(follows, self.position[turns - 1] + 1, bundle != NOBODY)
        at = np.flatnonzero(action != NOBODY)
        contest.chosen(rows[at], action[at])
        return action


def _classes(
    tiers: NDArray[np.int8] | None, mandatory: NDArray[np.bool_] | None, shape: tuple[int, ...]
) -> NDArray[np.int8] | None:
    """n x A: who comes before whom whatever the priorities: mandatory actions, then tier after tier."""
    if tiers is None and mandatory is None:
        return None
    of_tier = np.broadcast_to(np.zeros(shape[1], np.int8) if tiers is None else tiers, shape)
    return of_tier if mandatory is None else np.where(mandatory, np.int8(-1), of_tier)
