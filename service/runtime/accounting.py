"""What is counted of decisions: once per batch, and never for a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from feature_store.store import CustomerRows
from service.observability import metrics
from service.runtime.offers import OFFERS_UNAVAILABLE
from service.runtime.timing import StageTimer

if TYPE_CHECKING:
    from service.runtime.decision import Decision

# finding the series of some labels takes the client longer than counting does
_decisions = cache(metrics.DECISIONS.labels)
_stage_seconds = cache(metrics.STAGE_SECONDS.labels)
_degraded = cache(metrics.DEGRADED.labels)
_ignored = cache(metrics.CONTEXT_IGNORED.labels)
_offered = cache(metrics.ACTION_OFFERED.labels)
_no_action = cache(metrics.NO_ACTION.labels)
_offers = cache(metrics.OFFERS.labels)
_missing = cache(metrics.FEATURE_MISSING.labels)


def count(real: Sequence[Decision], timer: StageTimer) -> None:
    """Count the decisions of a batch, dry runs left out, and observe its timings."""
    metrics.BATCH_SIZE.observe(len(real))
    metrics.DECISION_SECONDS.observe_all([answer.total_seconds for answer in real])
    for stage, seconds in timer.seconds.items():
        _stage_seconds(stage).observe(seconds)
    for labels, number in Counter((a.request.channel, a.mode, a.arm) for a in real).items():
        _decisions(*labels).inc(number)
    for what, number in Counter(chain.from_iterable(answer.degraded for answer in real)).items():
        _degraded(what).inc(number)
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
        if answer.checked.ignored:
            ignored.update(answer.checked.ignored)
    for reason, number in ignored.items():
        if number:
            _ignored(reason).inc(number)


def _count_slate(real: Sequence[Decision]) -> None:
    """Actions offered and placements left empty, by the rows of the batch that are no dry runs."""
    snapshot, catalogue = real[0].snapshot, real[0].snapshot.catalogue
    picks, empty = real[0].chosen.among([answer.row for answer in real])
    for (slot, index), number in Counter(zip(picks.slot, picks.action, strict=True)).items():
        action = catalogue.actions[index]
        _offered(action.issue, action.group, action.name, catalogue.slots[slot].channel).inc(number)
    for code, number in Counter(empty.code).items():
        _no_action(snapshot.no_actions[code].reason).inc(number)


def _count_offers(real: Sequence[Decision]) -> None:
    """Offers by what became of them."""
    slate, offered = real[0].decisions.slate, real[0].decisions.offered
    if offered is None:
        return
    actions = real[0].snapshot.catalogue.actions
    by_row = {answer.row: answer for answer in real}
    new = offered.new(slate.row, slate.action).tolist()
    made = Counter[tuple[str, str, str]]()
    for row, index, is_new in zip(slate.row.tolist(), slate.action.tolist(), new, strict=True):
        answer = by_row.get(row)
        offer = answer.offer(index) if answer is not None else None
        if answer is None or offer is None:
            continue
        unkept = OFFERS_UNAVAILABLE in answer.degraded
        made[actions[index].name, offer.name, "kept" if not is_new else "unkept" if unkept else "made"] += 1
    for labels, number in made.items():
        _offers(*labels).inc(number)


def count_features(stored: Mapping[int, str], rows: CustomerRows, now: float) -> None:
    """Count what the store did not know of customers, and how old the rest was. `stored` has the stored
    features by their first column of X."""
    X, assembled_at, unknown = rows.X, rows.assembled_at, len(rows.known) - int(np.count_nonzero(rows.known))
    if unknown:
        metrics.CUSTOMER_UNKNOWN.inc(unknown)
        X, assembled_at = X[rows.known], assembled_at[rows.known]
    if not len(X):
        return
    metrics.FEATURE_AGE_SECONDS.observe_all([max(0.0, now - at) for at in assembled_at.tolist()])
    for column, number in Counter(np.isnan(X).nonzero()[1].tolist()).items():
        if column in stored:
            _missing(stored[column]).inc(number)
