"""Contact policies: how often, how soon again and at what hours a customer may be addressed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.counters import Counter, Counts
from service.decisioning.frequency import Cap, Frequency, Gap, Held
from service.decisioning.quiet_hours import QuietHours
from service.decisioning.removal import remove_at
from service.decisioning.stages import NO_ACTION, STILL_IN, Removal, Stage
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
    def shared_caps(self) -> Sequence[tuple[int, Cap]]:
        """The caps that several actions of an answer use up together, and their places in `frequencies`. To a
        gap, what one answer says is one contact."""
        return [
            (place, policy)
            for place, policy in enumerate(self.frequencies)
            if isinstance(policy, Cap) and not isinstance(policy, Gap) and not policy.counting.of_treatments
        ]

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
            rows = hours.channels[batch.channel].nonzero()[0]
            if rows.size:
                rows = rows[~np.isnan(hours.until(batch.X[rows], batch.now[rows]))]
                remove_at(removed_by, rows, hours.covers[batch.channel[rows]], code)

    def remove_treatments(self, batch: Batch, first_code: int, removed_by: NDArray[np.int32]) -> None:
        """The same for treatments: `removed_by` is n x T, or wider."""
        self._count(batch, first_code, removed_by, of_treatments=True)

    def _count(
        self, batch: Batch, first_code: int, removed_by: NDArray[np.int32], *, of_treatments: bool
    ) -> None:
        spoken = sorted(self._spoken(batch, of_treatments), key=lambda one: one[0])
        for number, rows, out in spoken:
            _remove(removed_by, rows, out, first_code + number)

    def _spoken(
        self, batch: Batch, of_treatments: bool
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.bool_]]]:
        """The policies about treatments, or actions, that hold for somebody: their places, rows, and who is
        out in each."""
        for number, held in self.held(batch):
            counting = self.frequencies[number].counting
            if counting.of_treatments == of_treatments:
                yield number, held.rows, counting.covered(batch, held.rows) == held.keys[:, None]
        for number, rows in self.shut(batch):
            counting = self.frequencies[number].counting
            if counting.of_treatments == of_treatments:
                yield number, rows, counting.covered(batch, rows) >= 0

    def unknown(self, batch: Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """n each: where a policy could not count because the history was unreadable, and where because it
        does not reach back far enough."""
        unreadable, short = np.zeros(len(batch), np.bool_), np.zeros(len(batch), np.bool_)
        for _, counter, touches in self._histories(batch):
            if not touches.complete:
                lost = np.isposinf(touches.since)
                unreadable |= lost
                short |= counter.unknown(touches, batch.now).any(axis=0) & ~lost
        return unreadable, short

    def counts(self, batch: Batch) -> Iterator[tuple[Sequence[int], Counts]]:
        """What policies count, those of the same history together, with their places in `frequencies`."""
        for places, counter, touches in self._histories(batch):
            if len(touches.records):
                yield places, counter.count(touches, batch.now)

    def held(self, batch: Batch) -> Iterator[tuple[int, Held]]:
        """The policies that hold by what they count, by their places in `frequencies`."""
        for places, counts in self.counts(batch):
            for place in counts.holding():
                held = counts.held(place)
                if held.rows.size:
                    yield places[place], held

    def shut(self, batch: Batch) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """The policies that hold for all that they cover, with the rows for which they do."""
        for places, counter, touches in self._histories(batch):
            if not touches.complete:
                shut = counter.shut(touches, batch.now)
                for place in np.flatnonzero(shut.any(axis=1)).tolist():
                    yield places[place], shut[place].nonzero()[0]

    def _histories(self, batch: Batch) -> Iterator[tuple[Sequence[int], Counter, Touches]]:
        """The policies of each history that there is, and their places."""
        for touches, (places, counter) in zip(
            (batch.touches, batch.account_touches), self._counters, strict=True
        ):
            if places and touches is not None:
                yield places, counter, touches

    @cached_property
    def _counters(self) -> Sequence[tuple[Sequence[int], Counter]]:
        """The places of the policies that count the history of the customer, and of those that count that of
        the account."""
        split = [
            [place for place, policy in enumerate(self.frequencies) if policy.by_account == by_account]
            for by_account in (False, True)
        ]
        return [
            (places, Counter([self.frequencies[place] for place in places], self.vocabulary))
            for places in split
        ]


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
    """Take out some candidates of each of the rows (a row may stand there several times), where nothing else
    has done it before."""
    place, columns = out.nonzero()
    rows = rows[place]
    free = removed_by[rows, columns] == STILL_IN
    removed_by[rows[free], columns[free]] = code
