"""What decides now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from feature_store.consents import ConsentNames
from feature_store.contacts import FIELDS as CONTACTS
from feature_store.keys import ACCOUNT
from feature_store.offers import FIELD as OFFERS
from feature_store.schema import STORED
from feature_store.segments import FIELD as SEGMENTS
from feature_store.segments import SegmentCodes
from feature_store.store import CustomerStore
from service.decisioning.adaptation import Learned
from service.decisioning.challengers import TRIAL, Challenger, deciders
from service.decisioning.draws import keys_of
from service.decisioning.snapshot import Snapshot
from service.runtime.following import Following
from service.runtime.requests import RequestChecker


@dataclass(frozen=True)
class Live:
    """What decides now: a snapshot, the store as its schema sees it, the names of consents, challengers, and
    how propensities follow outcomes. It is swapped as a whole, and a batch keeps the one that it began with.
    """

    snapshot: Snapshot
    store: CustomerStore
    challengers: tuple[Challenger, ...] = ()
    followings: tuple[Following, ...] = ()
    """Of the champions and of each challenger; empty where propensities stay as predicted."""
    arms: Mapping[str, str] = field(default_factory=dict)
    """The version that decides of each model that has challengers, as arms."""

    @property
    def following(self) -> Following | None:
        """How the propensities of `snapshot` follow outcomes."""
        return self.followings[0] if self.followings else None

    @property
    def learned(self) -> Learned | None:
        """What outcomes have taught by now."""
        return self.followings[0].learned if self.followings else None

    @cached_property
    def lanes(self) -> "tuple[Live, ...]":
        """The ways in which somebody is decided for: by the champions, and by each challenger."""
        versions = self.snapshot.model_versions
        arms = {TRIAL + one.model: versions[one.model] for one in self.challengers}
        return (
            Live(self.snapshot, self.store, followings=self.followings[:1], arms=arms),
            *(
                Live(
                    one.snapshot,
                    self.store,
                    followings=self.followings[number : number + 1],
                    arms={**arms, TRIAL + one.model: one.version},
                )
                for number, one in enumerate(self.challengers, start=1)
            ),
        )

    def split(self, customer_keys: Sequence[str]) -> "Iterator[tuple[Live, list[int]]]":
        """The lanes in which any of these customers are, each with their places."""
        found = deciders(keys_of(list(customer_keys)), self.challengers)
        for number, lane in enumerate(self.lanes):
            places = (found == number).nonzero()[0].tolist()
            if places:
                yield lane, places

    @cached_property
    def checker(self) -> RequestChecker:
        """What finds the names of requests."""
        return RequestChecker(self.snapshot)

    @cached_property
    def stored(self) -> Mapping[int, str]:
        """The features that come from the store, by their first columns of X."""
        schema = self.snapshot.schema
        return {schema.slice(f.name).start: f.name for source in STORED for f in schema.by_source(source)}

    @cached_property
    def also(self) -> tuple[bytes, ...]:
        """What is read of a customer beside features and consents."""
        offers = (OFFERS,) if self.snapshot.offers else ()
        contacts = CONTACTS if self.snapshot.contact.frequencies else ()
        experiments, contact = self.snapshot.experiments, self.snapshot.contact
        account = (ACCOUNT,) if experiments.needs_accounts or contact.reads_accounts else ()
        segments = (SEGMENTS,) if self.segments else ()
        return (*offers, *contacts, *account, *segments)

    @cached_property
    def segments(self) -> SegmentCodes:
        """The segments that customers move between."""
        schema, tracked = self.snapshot.schema, self.snapshot.derived.tracked
        return SegmentCodes([schema.feature(name) for name, _ in tracked], [column for _, column in tracked])

    @cached_property
    def consents(self) -> ConsentNames:
        """The purposes and channels of stored consents."""
        return ConsentNames(
            tuple(purpose.name for purpose in self.snapshot.purposes),
            tuple(channel.name for channel in self.snapshot.catalogue.channels),
        )
