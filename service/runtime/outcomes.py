"""Taking in outcomes: verified by their token, durable before they are acknowledged, counted once."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from feature_store.documents import did_you_mean
from feature_store.lessons import Report
from feature_store.store import CustomerStore, Outcome
from service import clock
from service.observability import metrics
from service.runtime.faults import Fault
from service.runtime.following import Following
from service.runtime.intake import Intake
from service.runtime.responses import Responses
from service.runtime.tokens import Grant, InvalidToken, Signer

CLOCK_SKEW = 300.0
"""Seconds by which a channel's clock may be ahead of ours or of the decision's."""


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """What a channel reports of one offer."""

    token: str
    outcome: str
    value: float | None = None
    occurred_at: datetime | None = None
    outcome_id: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the reports of one call; `faults` has the refused ones by their index."""

    accepted: int
    duplicates: int
    dry_run: int
    faults: tuple[tuple[int, Fault], ...]


_Taken = tuple[Outcome, Report | None]
"""An outcome, and what it teaches."""


class OutcomeIntake:
    """Verifies reports and records them."""

    def __init__(
        self,
        store: CustomerStore,
        signer: Signer,
        outcomes: Mapping[str, str],
        responses: Responses,
        *,
        max_batch: int,
        max_waiting: int,
    ) -> None:
        self._store, self._signer, self.names = store, signer, outcomes
        self._responses = responses
        self.redeems: Mapping[str, Collection[str]] = {}
        """By outcome the contact policies whose reservations it stands in for."""
        self.following: Following | None = None
        """Who learns of outcomes, if anybody does."""
        self._intake = Intake(self._record, "record_outcomes", max_batch=max_batch, max_waiting=max_waiting)

    async def take(self, reports: Sequence[OutcomeReport]) -> Receipt:
        """Record the good ones among the reports; when this returns they are durable.

        Raises:
            StoreUnavailable: nothing is acknowledged; the same call may be made again, what was counted
            stays counted once. Overloaded: too many reports are waiting.
        """
        now = clock.now()
        faults: list[tuple[int, Fault]] = []
        outcomes: list[_Taken] = []
        dry_run = 0
        for index, report in enumerate(reports):
            checked = self._check(report, now)
            if isinstance(checked, Fault):
                faults.append((index, checked))
            elif checked[0].dry_run:
                dry_run += 1
            else:
                outcomes.append((_outcome(report, *checked), self._lesson(report, *checked)))
        new = await self._intake.take(outcomes)
        self._count([outcome for outcome, _ in outcomes], new, refused=len(faults))
        return Receipt(sum(new), len(new) - sum(new), dry_run, tuple(faults))

    async def drain(self) -> None:
        """Wait until every waiting report is recorded."""
        await self._intake.drain()

    def _check(self, report: OutcomeReport, now: float) -> Fault | tuple[Grant, float]:
        """The grant of a report and when its outcome happened, or what is wrong with it."""
        if report.outcome not in self.names:
            hint = did_you_mean(report.outcome, self.names)
            return Fault("outcome", f"is not an outcome of the catalogue ({', '.join(self.names)}){hint}")
        try:
            grant = self._signer.verify(report.token, now)
        except InvalidToken as error:
            return Fault("token", str(error))
        if report.occurred_at is None:
            return grant, max(now, grant.decided_at)  # clocks are set back, too
        occurred_at = report.occurred_at.timestamp()
        if occurred_at > now + CLOCK_SKEW:
            return Fault("occurred_at", "lies in the future")
        if occurred_at < grant.decided_at - CLOCK_SKEW:
            return Fault("occurred_at", "lies before the decision")
        return grant, occurred_at

    def _lesson(self, report: OutcomeReport, grant: Grant, occurred_at: float) -> Report | None:
        return None if self.following is None else self.following.report(grant, report.outcome, occurred_at)

    async def _record(self, taken: list[_Taken]) -> list[bool]:
        lessons = [lesson for _, lesson in taken if lesson is not None]
        outcomes = [outcome for outcome, _ in taken]
        return await self._store.record_outcomes(outcomes, clock.now(), self.redeems, lessons)

    def _count(self, outcomes: Sequence[Outcome], new: Sequence[bool], refused: int) -> None:
        fresh = [outcome for outcome, first in zip(outcomes, new, strict=True) if first]
        self._responses.reported(fresh)
        counted = Counter((o.outcome, o.issue, o.group, o.action, o.channel) for o in fresh)
        for labels, number in counted.items():
            metrics.OUTCOMES.labels(*labels).inc(number)
        if len(new) > sum(new):
            metrics.OUTCOME_DUPLICATES.inc(len(new) - sum(new))
        if refused:
            metrics.OUTCOMES_REFUSED.inc(refused)


def _outcome(report: OutcomeReport, grant: Grant, occurred_at: float) -> Outcome:
    return Outcome(
        outcome_id=_identity(report),
        customer_id=grant.customer,
        decision_id=grant.decision_id,
        outcome=report.outcome,
        channel=grant.channel,
        placement=grant.placement,
        issue=grant.issue,
        group=grant.group,
        action=grant.action,
        treatment=grant.treatment,
        rank=grant.rank,
        propensity=grant.propensity,
        predicted=None if grant.basis is None else grant.basis[1],
        selection_probability=grant.selection_probability,
        value=report.value,
        occurred_at=occurred_at,
        expires_at=grant.expires_at,
        account_id=grant.account,
        offer=grant.offer,
        experiments=grant.experiments,
    )


def _identity(report: OutcomeReport) -> bytes:
    """16 bytes: the caller's own id, or else the token and the outcome."""
    text = report.outcome_id if report.outcome_id is not None else f"{report.token}\0{report.outcome}"
    kind = b"own" if report.outcome_id is not None else b"token"
    return hashlib.blake2b(text.encode(), digest_size=16, person=kind).digest()
