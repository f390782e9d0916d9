"""Contact policies: how often, how soon again and at what hours a customer may be addressed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.counters import Cells, Counter, Coverage
from service.decisioning.counting import UNCOVERED
from service.decisioning.frequency import Frequency
from service.decisioning.quiet_hours import QuietHours
from service.decisioning.removal import remove_at
from service.decisioning.stages import NO_ACTION, Removal, Stage
from service.decisioning.touches import Touches, Vocabulary

NOTHING = Vocabulary((), (), (), (), (), ())


@dataclass(frozen=True)
class Contact:
    """All contact policies of a snapshot, in the order in which they speak."""

    frequencies: tuple[Frequency, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    vocabulary: Vocabulary = field(default=NOTHING)

    @property
    def removals(self) -> tuple[Removal, ...]:
        """What each policy says."""
        counted = tuple(policy.removal for policy in self.frequencies)
        return counted + tuple(hours.removal for hours in self.quiet_hours)

    @property
    def answer_removals(self) -> tuple[Removal, ...]:
        """What each policy that counts says of an action for which it leaves an answer no room."""
        meaning = "the answer has as many already as this contact policy leaves"
        return tuple(
            Removal(Stage.SLATE, policy.name, meaning, no_action=NO_ACTION[Stage.CONTACT_POLICY].reason)
            for policy in self.frequencies
        )

    @cached_property
    def reads_customers(self) -> bool:
        """Whether a policy needs the history of the customer."""
        return any(not policy.by_account for policy in self.frequencies)

    @cached_property
    def reads_accounts(self) -> bool:
        """Whether a policy needs that of the account."""
        return any(policy.by_account for policy in self.frequencies)

    @cached_property
    def shared_caps(self) -> Mapping[bool, Sequence[tuple[int, Frequency]]]:
        """The caps that several actions of an answer use up together, and their places in `frequencies`, by
        whether an action may stand several times in an answer: only then it shares one with itself. To a gap,
        what one answer says is one contact."""
        shared = [(place, policy) for place, policy in enumerate(self.frequencies) if policy.shared]
        return {True: shared, False: [(place, cap) for place, cap in shared if cap.counting.per != "action"]}

    @cached_property
    def reserving(self) -> tuple[Frequency, ...]:
        """The policies that count an offer from the moment at which it is made."""
        return tuple(policy for policy in self.frequencies if policy.reserve)

    @cached_property
    def redeems(self) -> Mapping[str, tuple[str, ...]]:
        """By outcome the policies for which it takes the place of a reservation."""
        return {
            outcome: tuple(policy.name for policy in self.reserving if policy.counting.outcomes[place])
            for place, outcome in enumerate(self.vocabulary.outcomes)
        }

    @cached_property
    def of_treatments(self) -> NDArray[np.intp]:
        """The treatments (indexes into the catalogue's) that a policy may take out."""
        covered = [p.counting.keys >= 0 for p in self.frequencies if p.counting.of_treatments]
        return np.flatnonzero(np.any(covered, axis=0)) if covered else np.empty(0, np.intp)

    def remove(self, batch: Batch, first_code: int, removed_by: NDArray[np.int32]) -> None:
        """Take out (in place) the actions for which a policy holds; the codes of the policies follow one
        another from `first_code`."""
        if self.frequencies:
            self._actions.take_out(self.cells(batch), batch.channel, first_code, removed_by)
        for code, hours in enumerate(self.quiet_hours, start=first_code + len(self.frequencies)):
            rows = hours.channels[batch.channel].nonzero()[0]
            if rows.size:
                rows = rows[~np.isnan(hours.until(batch.X[rows], batch.now[rows]))]
                remove_at(removed_by, rows, hours.covers[batch.channel[rows]], code)

    def remove_treatments(self, batch: Batch, first_code: int, removed_by: NDArray[np.int32]) -> None:
        """The same for treatments: `removed_by` is n x T, or wider."""
        if self.of_treatments.size:
            self._treatments.take_out(self.cells(batch), batch.channel, first_code, removed_by)

    def cells(self, batch: Batch) -> Cells:
        """What the policies have counted for each request, where it is enough to matter."""
        return Cells.merged([counter.count(touches, batch) for counter, touches in self._histories(batch)])

    def knows_all(self, batch: Batch) -> bool:
        """Whether the whole history is known of everybody whose contacts are counted."""
        return all(touches.complete for _, touches in self._histories(batch))

    def unknown(self, batch: Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """n each: where a policy could not count because the history was unreadable, and where because it
        does not reach back far enough."""
        unreadable, short = np.zeros(len(batch), np.bool_), np.zeros(len(batch), np.bool_)
        for counter, touches in self._histories(batch):
            beyond = touches.since > batch.now - counter.horizon
            if beyond.any():
                lost = np.isposinf(touches.since)
                unreadable |= lost
                short |= beyond & ~lost
        return unreadable, short

    def _histories(self, batch: Batch) -> Iterator[tuple[Counter, Touches]]:
        """Those that there are, each with the policies that count it."""
        for counter, touches in zip(self._counters, (batch.touches, batch.account_touches), strict=True):
            if counter.policies and touches is not None:
                yield counter, touches

    @cached_property
    def _counters(self) -> tuple[Counter, Counter]:
        """The policies that count the history of the customer, and those that count that of the account."""
        of_customer, of_account = (
            Counter(
                {place: one for place, one in enumerate(self.frequencies) if one.by_account == by_account},
                self.vocabulary,
            )
            for by_account in (False, True)
        )
        return of_customer, of_account

    @cached_property
    def _actions(self) -> Coverage:
        return self._coverage(len(self.vocabulary.actions), of_treatments=False)

    @cached_property
    def _treatments(self) -> Coverage:
        return self._coverage(len(self.vocabulary.treatments), of_treatments=True)

    def _coverage(self, candidates: int, *, of_treatments: bool) -> Coverage:
        """The actions, or treatments, that each policy covers: none where it is about the others."""
        shape = len(self.frequencies), len(self.vocabulary.channels), candidates
        keys = np.full(shape, UNCOVERED, np.int32)
        for place, policy in enumerate(self.frequencies):
            if policy.counting.of_treatments == of_treatments:
                keys[place] = policy.counting.keys
        return Coverage.of(keys)


def without_reserving(batch: Batch) -> Batch:
    """The same requests, for which nothing can be reserved any more."""
    closed = np.ones(len(batch), np.bool_)
    touches = batch.touches or Touches.none(len(batch))
    account_touches = batch.account_touches or Touches.none(len(batch))
    return replace(
        batch,
        touches=replace(touches, closed=closed),
        account_touches=replace(account_touches, closed=closed),
    )
