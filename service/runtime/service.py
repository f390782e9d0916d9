"""One running service: the live configuration, the store, and what works on them."""

import asyncio
import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np
import structlog

from feature_store.decision_log import DecisionLog
from feature_store.decisions import DecisionRecords
from feature_store.documents import WorkspaceError
from feature_store.store import CustomerStore, StoreUnavailable, announced, connect
from models.errors import ModelError
from models.trials import Trial
from service import clock
from service.decisioning.batch import Batch
from service.decisioning.explain import explain
from service.decisioning.pipeline import decide
from service.decisioning.snapshot import Snapshot
from service.garbage import uncollected
from service.observability import metrics
from service.runtime.backlog import BacklogWatch
from service.runtime.budgets import Ledger
from service.runtime.customers import Customers
from service.runtime.decider import Decider
from service.runtime.features import FeatureReader
from service.runtime.following import Follower, Following
from service.runtime.journal import Journal
from service.runtime.live import Live
from service.runtime.outcomes import OutcomeIntake
from service.runtime.recording import Recorder
from service.runtime.reloading import Reloader
from service.runtime.replaying import KeptSnapshot
from service.runtime.tokens import Signer, kept_secret
from service.settings import Settings
from service.version import SOFTWARE
from service.workspace import champions, trials
from service.workspace.archive import Archive
from service.workspace.lineup import Lineup, line_up
from service.workspace.loading import Workspace, load_workspace

log = structlog.get_logger()

Changed = TypeVar("Changed")

YOUNG_OBJECTS = 20_000
"""How many objects may be made and not be gone until the garbage collector looks at them. Those of a few
dozen requests on their way are more than its usual 700, and nothing is ever found among them."""


class Service:
    """Everything that the HTTP edge calls. Made by `start_service`, ended by `stop`."""

    def __init__(
        self,
        settings: Settings,
        workspace: Workspace,
        lineup: Lineup,
        store: CustomerStore,
        signer: Signer,
        journal: Journal | None,
    ) -> None:
        snapshot = lineup.snapshot
        self.lineup = lineup
        self.settings, self.workspace, self.store, self.signer = settings, workspace, store, signer
        limits = {"max_batch": settings.max_batch, "max_waiting": settings.max_waiting}
        self.reloader = Reloader(self._load)
        self.ledger = Ledger(store.budgets)
        self.follower = Follower(store.classroom)
        self.decider = Decider(
            Live(snapshot, store, lineup.challengers),
            FeatureReader(retry_after=settings.store_retry_ms / 1000),
            self.ledger,
            deadline=settings.deadline_ms / 1000,
            journal=journal,
            **limits,
        )
        self._watch(workspace, lineup)
        self._journal = journal
        self.events = self.decider.events
        self.outcomes = OutcomeIntake(
            store, signer, workspace.files.outcomes, self.decider.responses, **limits
        )
        self.outcomes.redeems = snapshot.contact.redeems
        self.customers = Customers(store, snapshot, workspace.files.outcomes)
        records = DecisionRecords(store.client, settings.replay_seconds)
        self.recorder = Recorder(records, settings.replay_share, SOFTWARE)
        self._record(workspace, lineup)
        self.backlog = BacklogWatch(store.client)
        self.ready = False

    def _record(self, workspace: Workspace, lineup: Lineup) -> None:
        self.recorder.serve({s.version: KeptSnapshot.of(workspace, s).pack() for s in lineup.snapshots})

    def _watch(self, workspace: Workspace, lineup: Lineup) -> None:
        """Compare what models meet, say and promise with what they were trained on, and what comes."""
        self.decider.drift.adopt(lineup.snapshot, lineup.references)
        self.decider.responses.adopt(lineup.snapshot, workspace.specs)

    @property
    def snapshot(self) -> Snapshot:
        """The configuration that decides now."""
        return self.decider.live.snapshot

    async def reload(self) -> bool:
        """Load the workspace and its models afresh, here and on the workers that share the store; whether
        they could be told.

        Raises:
            WorkspaceError, ModelError: everything that is wrong; what served before serves on.
        """
        _, announced = await self.reloader.reload(self.store)
        return announced

    async def promote(self, name: str, version: str | None) -> tuple[str, bool]:
        """Have another version of a model serve, the newest one unless told otherwise, here and on the
        workers that share the store. Returns it, and whether they could be told.

        Raises:
            WorkspaceError, ModelError: everything that is wrong; what served before serves on.
        """
        return await self._change(name, lambda: champions.promote(self.workspace, name, version))

    async def roll_back(self, name: str) -> tuple[str, bool]:
        """The same for the version that the champion has replaced.

        Raises:
            WorkspaceError, ModelError: everything that is wrong; what served before serves on.
        """
        return await self._change(name, lambda: champions.roll_back(self.workspace, name))

    async def _change(self, name: str, change: Callable[[], str]) -> tuple[str, bool]:
        former = self.workspace.registry.serving(name)
        return await self._take_on(change, lambda: champions.restore(self.workspace, name, former))

    async def try_out(self, name: str, version: str | None, share: Fraction) -> tuple[Trial, bool]:
        """Have a version of a model, the newest one unless told otherwise, decide for a share of the
        customers, or, with none, score beside the champion: here and on the workers that share the store.
        Returns the trial, and whether they could be told.

        Raises:
            WorkspaceError, ModelError: everything that is wrong; what served before serves on.
        """
        return await self._change_trials(lambda: trials.try_out(self.workspace, name, version, share))

    async def withdraw(self, name: str, version: str | None) -> tuple[str, bool]:
        """End the trial of a version, the only one of its model unless told otherwise.

        Raises:
            WorkspaceError, ModelError: everything that is wrong; what served before serves on.
        """
        return await self._change_trials(lambda: trials.withdraw(self.workspace, name, version))

    async def _change_trials(self, change: Callable[[], Changed]) -> tuple[Changed, bool]:
        registry = self.workspace.registry
        former = registry.trials()
        return await self._take_on(change, lambda: registry.restore_trials(former))

    async def _take_on(self, change: Callable[[], Changed], undo: Callable[[], None]) -> tuple[Changed, bool]:
        """Change the registry, and load what it says; undone where it can't be loaded."""
        changed = await asyncio.to_thread(change)
        try:
            return changed, await self.reload()
        except (WorkspaceError, ModelError):
            undo()
            raise

    async def _load(self) -> str:
        """Load in a thread, so that decisions go on, and swap."""
        workspace, lineup = await asyncio.to_thread(load, self.settings)
        snapshot = lineup.snapshot
        store = self.store
        if workspace.schema != store.schema:
            store = store.of_schema(workspace.schema)
            await _register(store)
        await self.ledger.adopt(snapshot)
        followings = _followings(workspace, lineup)
        await self.follower.adopt(followings)
        metrics.CATALOGUE_INFO.labels(self.snapshot.catalogue.version).set(0)
        for labels in self.lineup.shares:
            metrics.MODEL_INFO.labels(*labels).set(0)
            metrics.MODEL_SHARE.labels(*labels).set(0)
        for model in self.snapshot.all_models:
            metrics.SCORER_INFO.labels(model.name, model.kind).set(0)
        # no await from here on: nobody sees a part of it
        self.decider.live = live = Live(snapshot, store, lineup.challengers, followings)
        self.outcomes.following = live.following
        self._watch(workspace, lineup)
        self._record(workspace, lineup)
        self.workspace, self.lineup, self.store = workspace, lineup, store
        self.customers = Customers(store, snapshot, workspace.files.outcomes)
        self.events.store = store
        self.outcomes.names = workspace.files.outcomes
        self.outcomes.redeems = snapshot.contact.redeems
        self.refresh_metrics()
        gc.freeze()
        return snapshot.catalogue.version

    def shed(self) -> None:
        """Count a request that could not be taken in."""
        metrics.SHED.inc()

    def refresh_metrics(self) -> None:
        """Set and count what a scrape should find fresh."""
        self.decider.settle()
        self.decider.drift.refresh_metrics(clock.now())
        metrics.CATALOGUE_INFO.labels(self.snapshot.catalogue.version).set(1)
        for labels, share in self.lineup.shares.items():
            metrics.MODEL_INFO.labels(*labels).set(1)
            metrics.MODEL_SHARE.labels(*labels).set(share)
        for model in self.snapshot.all_models:
            metrics.SCORER_INFO.labels(model.name, model.kind).set(1)
            metrics.MODEL_AGE_SECONDS.labels(model.name).set(time.time() - _trained_at(model.version))

    async def stop(self) -> None:
        """Answer what is waiting, then let go of the store."""
        self.ready = False
        metrics.WORKERS.set(0)
        await self.reloader.stop()
        await self.backlog.stop()
        await self.decider.drain()
        await self.outcomes.drain()
        await self.events.drain()
        await self.ledger.stop()
        await self.follower.stop()
        await self.recorder.drain()
        if self._journal is not None:
            await self._journal.stop()
        await self.store.close()
        gc.unfreeze()  # libraries look at what is left when the process ends


class Loaded(NamedTuple):
    """A workspace and what it compiles to."""

    workspace: Workspace
    lineup: Lineup

    def is_current(self) -> bool:
        """Whether the workspace would be loaded just so again: its files, the champions and what is tried out
        are the same."""
        workspace, registry = self.workspace, self.workspace.registry
        return (
            Archive.of(workspace.folder).version == workspace.archive.version
            and registry.trials() == self.lineup.trials
            and all(
                registry.serving(name) == self.lineup.snapshot.model_versions.get(name)
                for name in workspace.models
            )
        )


def load(settings: Settings) -> Loaded:
    """The workspace with its champion models and what is tried out beside them, ready to decide.

    Raises:
        WorkspaceError, ModelError: everything that is wrong.
    """
    with uncollected():
        workspace = load_workspace(settings.workspace)
        lineup = line_up(workspace, settings.scorer)
        for snapshot in lineup.snapshots:
            warm_up(snapshot)
    return Loaded(workspace, lineup)


async def start_service(settings: Settings, loaded: Loaded | None = None) -> Service:
    """Load the workspace and its champion models, warm up, and connect to the store. A store that is away
    does not keep the service from deciding.

    What this process has `loaded` before is served where nothing has changed since.

    Raises:
        WorkspaceError, ModelRefused: nothing is served half loaded.
    """
    url = settings.redis_url or "redis://127.0.0.1:6379"
    client = connect(url, timeout=settings.store_timeout_ms / 1000)
    try:
        seen = await announced(client)
    except StoreUnavailable:
        seen = None  # whatever is announced later is news
    try:
        if loaded is None or not loaded.is_current():
            loaded = load(settings)
    except BaseException:
        await client.close()
        raise
    workspace, lineup = loaded
    store = CustomerStore(
        client,
        workspace.schema,
        customer_ttl=settings.customer_ttl_seconds,
        outcome_log_length=settings.outcome_log_length,
        event_log_length=settings.event_log_length,
    )
    length = settings.decision_log_length
    journal = Journal(DecisionLog(connect(url), length)) if length else None
    service = Service(settings, workspace, lineup, store, Signer(_secret(settings)), journal)
    await _register(store)
    await service.ledger.adopt(lineup.snapshot)
    service.ledger.start()
    followings = _followings(workspace, lineup)
    await service.follower.adopt(followings)
    service.decider.live = live = Live(lineup.snapshot, store, lineup.challengers, followings)
    service.outcomes.following = live.following
    service.follower.start()
    service.reloader.start(store, seen)
    service.backlog.start()
    gc.collect()
    gc.freeze()  # what was loaded lives as long as the process: full collections need not look at it
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
    service.ready = True
    metrics.WORKERS.set(1)
    service.refresh_metrics()
    return service


async def _register(store: CustomerStore) -> None:
    try:
        await store.register_schema()
    except StoreUnavailable as error:
        metrics.STORE_ERRORS.labels("register_schema").inc()
        log.warning("store_unavailable", operation="register_schema", reason=str(error))


def _followings(workspace: Workspace, lineup: Lineup) -> tuple[Following, ...]:
    """How the propensities of the champions and of each challenger follow outcomes; none where they don't."""
    deciding = (lineup.snapshot, *(challenger.snapshot for challenger in lineup.challengers))
    rules = workspace.label_rules if lineup.snapshot.adaptation is not None else None
    return tuple(
        Following(snapshot, snapshot.adaptation, rules)
        for snapshot in deciding
        if rules is not None and snapshot.adaptation is not None
    )


def warm_up(snapshot: Snapshot) -> None:
    """Decide once for every channel, so that the first request finds what is computed at first use."""
    catalogue = snapshot.catalogue
    channels = [channel.name for channel in catalogue.channels]
    limits = np.zeros((len(channels), len(catalogue.slots)), dtype=np.int32)
    for row, channel in enumerate(channels):
        limits[row, list(catalogue.channel_slots[channel])] = 1
    batch = Batch(
        X=np.tile(snapshot.schema.defaults, (len(channels), 1)),
        now=np.full(len(channels), clock.now()),
        channel=np.arange(len(channels)),
        limits=limits,
        scored=np.ones(len(channels), dtype=np.bool_),
    )
    decisions = decide(snapshot, batch)
    for row in range(len(channels)):
        explain(snapshot, decisions, row, everything=False)


def _secret(settings: Settings) -> bytes:
    if settings.token_secret is not None:
        return settings.token_secret.get_secret_value().encode()
    return kept_secret(settings.data)


def _trained_at(version: str) -> float:
    """Epoch seconds of a version `YYYYMMDDTHHMMSSZ-...`."""
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
