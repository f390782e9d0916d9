"""Contact policies: how often, how soon again and at what hours a customer may be addressed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.frequency import Frequency
from service.decisioning.quiet_hours import QuietHours
from service.decisioning.stages import NO_ACTION, STILL_IN, Removal, Stage
from service.decisioning.touches import Reading, Touches, Vocabulary

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
        self._count(batch, first_code, removed_by, of_treatments=False)
        for code, hours in enumerate(self.quiet_hours, start=first_code + len(self.frequencies)):
            rows = np.flatnonzero(hours.channels[batch.channel])
            if rows.size:
                rows = rows[~np.isnan(hours.until(batch.X[rows], batch.now[rows]))]
                _remove(removed_by, rows, hours.covers[batch.channel[rows]], code)

    def remove_treatments(self, batch: Batch, first_code: int, removed_by: NDArray[np.int32]) -> None:
        """The same for treatments: `removed_by` is n x T, or wider."""
        self._count(batch, first_code, removed_by, of_treatments=True)

    def unknown(self, batch: Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """n each: where a policy could not count because the history was unreadable, and where because it
        does not reach back far enough."""
        unreadable, short = np.zeros(len(batch), np.bool_), np.zeros(len(batch), np.bool_)
        for policy in self.frequencies:
            touches = policy.touches(batch)
            if touches is not None:
                lost = np.isposinf(touches.since)
                unreadable |= lost
                short |= policy.unknown(touches, batch.now) & ~lost
        return unreadable, short

    def _count(
        self, batch: Batch, first_code: int, removed_by: NDArray[np.int32], *, of_treatments: bool
    ) -> None:
        for code, policy, reading in self.readings(batch, first_code):
            if policy.counting.of_treatments == of_treatments:
                held = policy.held(reading, batch.now)
                if held.rows.size:
                    keys = policy.counting.covered(batch, held.rows)
                    _remove(removed_by, held.rows, keys == held.keys[:, None], code)
                shut = np.flatnonzero(policy.shut(reading.touches, batch.now))
                if shut.size:
                    _remove(removed_by, shut, policy.counting.covered(batch, shut) >= 0, code)

    def readings(self, batch: Batch, first: int = 0) -> Iterator[tuple[int, Frequency, Reading]]:
        """The policies that count, numbered from `first`, each with the history that it counts, where there
        is one."""
        for number, policy in enumerate(self.frequencies, start=first):
            touches = policy.touches(batch)
            if touches is not None:
                yield number, policy, touches.reading(self.vocabulary)


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


def _remove(removed_by: NDArray[np.int32], rows: NDArray[np.intp], out: NDArray[np.bool_], code: int) -> None:
    """Take out some candidates of each of the rows, where nothing else has done it before."""
    place, columns = np.nonzero(out)
    rows = rows[place]
    free = removed_by[rows, columns] == STILL_IN
    removed_by[rows[free], columns[free]] = code
