"""How often and how soon again: caps, gaps and pauses, exact over the contact history of a batch.

A policy counts records under keys, such as the action or the group that they name. For every request and key
it knows until when it holds, so that who is out now, and when that ends, is one calculation.
"""

from dataclasses import dataclass

from service.decisioning.counting import Counting
from service.decisioning.stages import Removal, Stage


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """A policy that counts. `suppress` is what it does where the count can't be known.

    A policy with `reserve`, in seconds, counts an offer from the moment at which it is made until it is
    reported, or for so long; `reservation` is the outcome that stands for such an offer.
    """

    name: str
    meaning: str
    counting: Counting
    within: float
    suppress: bool
    by_account: bool = False
    reserve: float = 0.0
    kind = "cap"

    @property
    def reservation(self) -> str:
        """The outcome under which it keeps its reservations in the history."""
        return reservation(self.name)

    @property
    def removal(self) -> Removal:
        """What it says of a candidate that it takes out. A treatment is missed only when the slots are
        filled."""
        stage = Stage.TREATMENT if self.counting.of_treatments else Stage.CONTACT_POLICY
        return Removal(stage, self.name, self.meaning)

    @property
    def limit(self) -> int:
        """From how many records on it holds."""
        raise NotImplementedError

    @property
    def horizon(self) -> float:
        """How long ago, in seconds, a record can be that still matters."""
        raise NotImplementedError

    @property
    def reach(self) -> float:
        """For how long, in seconds, a single record can make it hold."""
        raise NotImplementedError

    @property
    def rest(self) -> float:
        """For how long, in seconds, it holds from the record that sets it off; 0: while so many count."""
        return 0.0

    @property
    def shared(self) -> bool:
        """Whether several actions of one answer use it up together."""
        return False


@dataclass(frozen=True, kw_only=True)
class Cap(Frequency):
    """At most `at_most` records in any `within` seconds: a rolling window, open at its beginning.

    A record from the future, by the clock of another machine, counts already: it will be in a window with
    what is offered now.
    """

    at_most: int

    @property
    def limit(self) -> int:
        return self.at_most

    @property
    def horizon(self) -> float:
        return self.within

    @property
    def reach(self) -> float:
        return self.within

    @property
    def shared(self) -> bool:
        return not self.counting.of_treatments


@dataclass(frozen=True, kw_only=True)
class Gap(Cap):
    """At least `within` seconds from one contact to the next: a cap of one. What one answer says at the same
    time is one contact."""

    at_most: int = 1
    kind = "gap"

    @property
    def shared(self) -> bool:
        return False


@dataclass(frozen=True, kw_only=True)
class Pause(Frequency):
    """`pause` seconds of rest from the moment at which `after` records lie within less than `within`
    seconds."""

    after: int
    pause: float
    kind = "pause"

    @property
    def limit(self) -> int:
        return self.after

    @property
    def horizon(self) -> float:
        return self.pause + (self.within if self.after > 1 else 0.0)

    @property
    def reach(self) -> float:
        return self.horizon

    @property
    def rest(self) -> float:
        return self.pause


def reservation(name: str) -> str:
    """The outcome under which the policy of that name keeps its reservations in the history; no outcome of a
    catalogue can be called so."""
    return f"reserved:{name}"


def duration(seconds: float) -> str:
    """Seconds as a number and a unit: 90s, 15m, 12h or 30d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
