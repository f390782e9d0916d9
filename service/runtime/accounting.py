"""What is counted of decisions: once per batch, and never for a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from feature_store.schema import FeatureSchema, Source
from feature_store.store import CustomerRows
from service.observability import metrics
from service.runtime.offers import OFFERS_UNAVAILABLE
from service.runtime.timing import StageTimer

if TYPE_CHECKING:
    from service.runtime.decision import Decision


def count(answers: Sequence[Decision], timer: StageTimer) -> None:
    """Count the decisions of a batch and observe its timings."""
    real = [answer for answer in answers if not answer.request.dry_run]
    if not real:
        return
    metrics.BATCH_SIZE.observe(len(answers))
    for stage, seconds in timer.seconds.items():
        metrics.STAGE_SECONDS.labels(stage).observe(seconds)
    made = Counter((answer.request.channel, answer.mode, answer.arm) for answer in real)
    for labels, number in made.items():
        metrics.DECISIONS.labels(*labels).inc(number)
    for what, number in Counter(what for answer in real for what in answer.degraded).items():
        metrics.DEGRADED.labels(what).inc(number)
    for answer in real:
        metrics.DECISION_SECONDS.observe(answer.total_seconds)
    _count_ignored(real)
    for together in _by_batch(real):
        _count_slate(together)
        _count_offers(together)
        _count_unknown(together)


def _count_unknown(real: Sequence[Decision]) -> None:
    """Decisions in which a contact policy could not count."""
    contact, decisions = real[0].snapshot.contact, real[0].decisions
    if not contact.frequencies:
        return
    unreadable, full = contact.unknown(decisions.batch)
    rows = [answer.row for answer in real]
    for why, unknown in (("unreadable", unreadable), ("full", full)):
        number = int(np.count_nonzero(unknown[rows]))
        if number:
            metrics.CONTACT_HISTORY_UNKNOWN.labels(why).inc(number)


def _by_batch(real: Sequence[Decision]) -> Iterable[list[Decision]]:
    """The answers by the `decide` that they came from: what had to be decided again is by itself."""
    batches: dict[int, list[Decision]] = {}
    for answer in real:
        batches.setdefault(id(answer.decisions), []).append(answer)
    return batches.values()


def _count_ignored(real: Sequence[Decision]) -> None:
    ignored = Counter[str]()
    for answer in real:
        ignored.update(answer.checked.ignored)
    for reason, number in ignored.items():
        if number:
            metrics.CONTEXT_IGNORED.labels(reason).inc(number)


def _count_slate(real: Sequence[Decision]) -> None:
    """Actions offered and placements left empty, by the rows of the batch that are no dry runs."""
    snapshot, slate = real[0].snapshot, real[0].decisions.slate
    catalogue = snapshot.catalogue
    counts = np.zeros(len(real[0].decisions.removed_by), dtype=np.bool_)
    counts[[answer.row for answer in real]] = True
    offered = counts[slate.row]
    pairs = zip(slate.slot[offered].tolist(), slate.action[offered].tolist(), strict=True)
    for (slot, index), number in Counter(pairs).items():
        action = catalogue.actions[index]
        labels = (action.issue, action.group, action.name, catalogue.slots[slot].channel)
        metrics.ACTION_OFFERED.labels(*labels).inc(number)
    empty = slate.empty_code[counts[slate.empty_row]]
    for code, number in Counter(empty.tolist()).items():
        metrics.NO_ACTION.labels(snapshot.no_actions[code].reason).inc(number)


def _count_offers(real: Sequence[Decision]) -> None:
    """Offers by what became of them."""
    slate, offered = real[0].decisions.slate, real[0].decisions.offered
    if offered is None:
        return
    new = offered.new(slate.row, slate.action)
    for answer in real:
        first, last = slate.row.searchsorted([answer.row, answer.row + 1]).tolist()
        for pick in range(first, last):
            index = int(slate.action[pick])
            offer = answer.offer(index)
            if offer is not None:
                promise = (
                    "kept" if not new[pick] else "unkept" if OFFERS_UNAVAILABLE in answer.degraded else "made"
                )
                labels = (answer.snapshot.catalogue.actions[index].name, offer.name, promise)
                metrics.OFFERS.labels(*labels).inc()


def count_features(schema: FeatureSchema, rows: CustomerRows, positions: Sequence[int], now: float) -> None:
    """Count what the store did not know of the customers at these positions of a read, and how old the rest
    was."""
    known = [position for position in positions if rows.known[position]]
    if len(known) < len(positions):
        metrics.CUSTOMER_UNKNOWN.inc(len(positions) - len(known))
    if not known:
        return
    for position in known:
        metrics.FEATURE_AGE_SECONDS.observe(max(0.0, now - float(rows.assembled_at[position])))
    missing = np.isnan(rows.X[known]).sum(axis=0)
    for source in (Source.PROFILE, Source.BEHAVIOUR):
        for feature in schema.by_source(source):
            number = int(missing[schema.slice(feature.name).start])
            if number:
                metrics.FEATURE_MISSING.labels(feature.name).inc(number)
