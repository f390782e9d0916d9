"""What decides now."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from service.decisioning.snapshot import Snapshot
from service.runtime.following import Following
from service.runtime.requests import RequestChecker


@dataclass(frozen=True)
class Live:
    """What decides now: a snapshot, the store as its schema sees it, how propensities follow outcomes, and
    the names of consents. It is swapped as a whole, and a batch keeps the one that it began with."""

    snapshot: Snapshot
    store: CustomerStore
    following: Following | None = None

    @property
    def learned(self) -> Learned | None:
        """What outcomes have taught by now."""
        return None if self.following is None else self.following.learned

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
