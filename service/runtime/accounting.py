"""What is counted of decisions: for many batches at once, and never for a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from feature_store.store import CustomerRows
from service.decisioning.stages import Stage
from service.observability import metrics
from service.runtime.offers import OFFERS_UNAVAILABLE
from service.runtime.soon import Soon

if TYPE_CHECKING:
    from service.runtime.decision import Decision
    from service.runtime.responses import Responses

# finding the series of some labels takes the client longer than counting does
_decisions = cache(metrics.DECISIONS.labels)
_stage_seconds = cache(metrics.STAGE_SECONDS.labels)
_degraded = cache(metrics.DEGRADED.labels)
_ignored = cache(metrics.CONTEXT_IGNORED.labels)
_offered = cache(metrics.ACTION_OFFERED.labels)
_no_action = cache(metrics.NO_ACTION.labels)
_offers = cache(metrics.OFFERS.labels)
_missing = cache(metrics.FEATURE_MISSING.labels)


AT_ONCE = 128
"""Decisions that are counted together, whatever batches they were made in."""
WITHIN = 0.2
"""Seconds after which they are counted, however few they are."""


class Made(NamedTuple):
    """Decisions that were made together, none of them a dry run.

    seconds  of each stage
    rows     what was read for them, None: nothing
    stored   the stored features by their first column of X
    """

    answers: Sequence[Decision]
    seconds: Mapping[Stage, float]
    rows: CustomerRows | None
    stored: Mapping[int, str]


class Accounts:
    """Counts decisions and observes how long they took, a little later: a lone decision would cost as much as
    sixty."""

    def __init__(self, responses: Responses) -> None:
        self._responses = responses
        self._open: list[Made] = []
        self._soon = Soon(self._count, at_once=AT_ONCE, within=WITHIN)

    def add(self, made: Made) -> None:
        """Count some decisions soon."""
        self._open.append(made)
        self._soon.add(len(made.answers))

    def settle(self) -> None:
        """Count what is not counted yet."""
        self._soon.now()

    def _count(self) -> None:
        made, self._open = self._open, []
        _count(made, self._responses)


def _count(made: Sequence[Made], responses: Responses) -> None:
    real = [answer for one in made for answer in one.answers]
    metrics.BATCH_SIZE.observe_all([len(one.answers) for one in made])
    metrics.DECISION_SECONDS.observe_all([answer.total_seconds for answer in real])
    for stage in made[0].seconds:
        _stage_seconds(stage).observe_all([one.seconds[stage] for one in made])
    for labels, number in Counter((a.request.channel, a.mode, a.arm) for a in real).items():
        _decisions(*labels).inc(number)
    for what, number in Counter(chain.from_iterable(answer.degraded for answer in real)).items():
        _degraded(what).inc(number)
    _count_ignored(real)
    together = _by_batch(real)
    _count_slates(together)
    responses.offered(together)
    for some in together:
        _count_offers(some)
        _count_unknown(some)
    _count_features(made)


def _count_unknown(real: Sequence[Decision]) -> None:
    """Decisions in which a contact policy could not count."""
    contact, decisions = real[0].snapshot.contact, real[0].decisions
    if contact.knows_all(decisions.batch):
        return
    unreadable, full = contact.unknown(decisions.batch)
    rows = [answer.row for answer in real]
    for why, unknown in (("unreadable", unreadable), ("full", full)):
        if unknown.any():
            metrics.CONTACT_HISTORY_UNKNOWN.labels(why).inc(int(np.count_nonzero(unknown[rows])))


def _by_batch(real: Sequence[Decision]) -> Collection[Sequence[Decision]]:
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


def _count_slates(together: Iterable[Sequence[Decision]]) -> None:
    """Actions offered and placements left empty, by the rows of each batch that are no dry runs."""
    offered, reasons = Counter[tuple[str, str, str, str]](), Counter[str]()
    for some in together:
        snapshot, catalogue = some[0].snapshot, some[0].snapshot.catalogue
        picks, empty = some[0].chosen.among([answer.row for answer in some])
        for (slot, index), number in Counter(zip(picks.slot, picks.action, strict=True)).items():
            action = catalogue.actions[index]
            offered[action.issue, action.group, action.name, catalogue.slots[slot].channel] += number
        for code, number in Counter(empty.code).items():
            reasons[snapshot.no_actions[code].reason] += number
    for labels, number in offered.items():
        _offered(*labels).inc(number)
    for reason, number in reasons.items():
        _no_action(reason).inc(number)


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


def _count_features(made: Iterable[Made]) -> None:
    """What the store did not know of customers, and how old the rest was."""
    by_schema: dict[int, list[tuple[CustomerRows, Made]]] = {}
    for one in made:
        if one.rows is not None:
            by_schema.setdefault(id(one.stored), []).append((one.rows, one))
    for alike in by_schema.values():
        _count_read([rows for rows, _ in alike], [one for _, one in alike])


def _count_read(read: Sequence[CustomerRows], made: Sequence[Made]) -> None:
    """The same of what was read, at least one, by one schema."""
    known = np.concatenate([rows.known for rows in read])
    unknown = len(known) - int(np.count_nonzero(known))
    if unknown:
        metrics.CUSTOMER_UNKNOWN.inc(unknown)
    now = np.array([answer.decided_at for one in made for answer in one.answers])
    ages = now - np.concatenate([rows.assembled_at for rows in read])
    metrics.FEATURE_AGE_SECONDS.observe_all(np.maximum(0.0, ages[known]).tolist())
    missing = np.isnan(np.concatenate([rows.X for rows in read])[known]).sum(axis=0).tolist()
    for column, name in made[0].stored.items():
        if missing[column]:
            _missing(name).inc(missing[column])
