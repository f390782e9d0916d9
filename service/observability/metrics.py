"""Every metric of the service, in one place. Names and labels are part of the contract with dashboards.

With several workers (`PROMETHEUS_MULTIPROC_DIR` set) each process writes its own file, and a scrape of any
worker adds them up.
"""

import os
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

REGISTRY = CollectorRegistry()


class BatchHistogram(Histogram):
    """A histogram that takes the observations of a whole batch at once, and looks up a single one's bucket
    instead of trying one after the other."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe one amount; there are no exemplars here."""
        self._sum.inc(amount)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe each amount: one look-up for each, and one addition for each bucket that was hit."""
        self._sum.inc(sum(amounts))
        for bucket, hits in Tally(map(partial(bisect_left, self._upper_bounds), amounts)).items():
            self._buckets[bucket].inc(hits)


LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
STAGE_BUCKETS = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
DIFFERENCE_BUCKETS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
AGE_BUCKETS = (60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 180 * 86_400)

DECISIONS = Counter(
    "arbiter_decisions", "Decisions made, dry runs left out.", ["channel", "mode", "arm"], registry=REGISTRY
)
DECISION_SECONDS = BatchHistogram(
    "arbiter_decision_seconds",
    "From the arrival of a request to its decision.",
    buckets=LATENCY_BUCKETS,
    registry=REGISTRY,
)
STAGE_SECONDS = BatchHistogram(
    "arbiter_stage_seconds",
    "Time of a stage for one batch. Stages that run together show as the first of them: availability with "
    "channel, eligibility with applicability and suitability, and propensity with treatment.",
    ["stage"],
    buckets=STAGE_BUCKETS,
    registry=REGISTRY,
)
BATCH_SIZE = BatchHistogram(
    "arbiter_batch_size", "Requests decided together.", buckets=BATCH_BUCKETS, registry=REGISTRY
)
NO_ACTION = Counter("arbiter_no_action", "Placements left empty.", ["reason"], registry=REGISTRY)
ACTION_OFFERED = Counter(
    "arbiter_action_offered", "Actions offered.", ["issue", "group", "action", "channel"], registry=REGISTRY
)
OFFERS = Counter(
    "arbiter_offers",
    "Offers in answers: made anew, kept from an earlier answer, or unkept because the store was away.",
    ["action", "offer", "promise"],
    registry=REGISTRY,
)
CONTACT_HISTORY_UNKNOWN = Counter(
    "arbiter_contact_history_unknown",
    "Decisions in which contact policies could not count, by why: the history was unreadable, or full, so "
    "that what is older than its records is not known.",
    ["why"],
    registry=REGISTRY,
)
RELOADS = Counter(
    "arbiter_reloads",
    "Loads of a changed workspace, by whether it could be used.",
    ["result"],
    registry=REGISTRY,
)
DEGRADED = Counter(
    "arbiter_degraded", "Decisions made without some input, by what was missing.", ["what"], registry=REGISTRY
)
LOG_BACKLOG = Gauge(
    "arbiter_log_backlog",
    "Decisions that a worker has still to write to the log in the store.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
SEGMENT_MOVEMENTS = Counter(
    "arbiter_segment_movements",
    "Customers who went from one level of a segment to another.",
    ["segment", "from", "to"],
    registry=REGISTRY,
)
LOG_ENTRIES = Gauge(
    "arbiter_log_entries",
    "Entries in the store that no consumer has written into files yet; an entry has several of a kind.",
    ["stream"],
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
LOG_OLDEST_SECONDS = Gauge(
    "arbiter_log_oldest_seconds",
    "For how long the oldest of these entries has waited.",
    ["stream"],
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
DECISIONS_UNLOGGED = Counter(
    "arbiter_decisions_unlogged",
    "Decisions that were not written to the log: the store was away, and there was no more room to wait.",
    registry=REGISTRY,
)
DECISIONS_UNRECORDED = Counter(
    "arbiter_decisions_unrecorded",
    "Decisions that were to be recorded for a replay and could not be.",
    registry=REGISTRY,
)
CONTEXT_IGNORED = Counter(
    "arbiter_context_ignored", "Context values that were left out, by why.", ["reason"], registry=REGISTRY
)
OUTCOMES = Counter(
    "arbiter_outcomes",
    "Outcomes taken in, each once.",
    ["outcome", "issue", "group", "action", "channel"],
    registry=REGISTRY,
)
OUTCOME_DUPLICATES = Counter(
    "arbiter_outcome_duplicates", "Outcomes that had been counted before.", registry=REGISTRY
)
OUTCOMES_REFUSED = Counter(
    "arbiter_outcomes_refused", "Outcomes with a bad token or a bad value.", registry=REGISTRY
)
EVENTS = Counter("arbiter_events", "Events taken in, each once.", ["type"], registry=REGISTRY)
EVENT_DUPLICATES = Counter(
    "arbiter_event_duplicates", "Events that had been counted before.", registry=REGISTRY
)
EVENTS_LATE = Counter(
    "arbiter_events_late",
    "Events taken in more than an hour after they had happened.",
    registry=REGISTRY,
)
EVENTS_REFUSED = Counter(
    "arbiter_events_refused",
    "Events refused, by why: of the future, too old for any window, or unfit.",
    ["reason"],
    registry=REGISTRY,
)
FEATURE_MISSING = Counter(
    "arbiter_feature_missing",
    "Decisions in which a stored feature of a known customer was missing or too old.",
    ["feature"],
    registry=REGISTRY,
)
CUSTOMER_UNKNOWN = Counter(
    "arbiter_customer_unknown", "Decisions for customers of whom nothing is stored.", registry=REGISTRY
)
FEATURE_AGE_SECONDS = BatchHistogram(
    "arbiter_feature_age_seconds",
    "Age of the profile that a decision used.",
    buckets=AGE_BUCKETS,
    registry=REGISTRY,
)
STORE_ERRORS = Counter("arbiter_store_errors", "Failed calls of the store.", ["operation"], registry=REGISTRY)
SHED = Counter("arbiter_shed", "Requests answered 503 because too many were waiting.", registry=REGISTRY)
HTTP_REQUESTS = Counter(
    "arbiter_http_requests",
    "HTTP requests by route and status.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
VOLUME_USED = Gauge(
    "arbiter_volume_used",
    "Choices counted under a volume limit in its current period, by all workers.",
    ["limit"],
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
VOLUME_LIMIT = Gauge(
    "arbiter_volume_limit",
    "How many choices a volume limit allows in its period.",
    ["limit"],
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
VOLUME_SUPPRESSED = Counter(
    "arbiter_volume_suppressed",
    "Decisions in which a volume limit kept an action out.",
    ["limit"],
    registry=REGISTRY,
)
EXPLORATION_COST = Gauge(
    "arbiter_exploration_cost",
    "Priority given up today for exploring, by all workers; 0 without a daily limit.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
PROPENSITY_CORRECTION = Gauge(
    "arbiter_propensity_correction",
    "By which the propensities of an action are multiplied in a channel after the last outcomes; 1 where its "
    "model is right.",
    ["issue", "group", "action", "channel"],
    registry=REGISTRY,
    multiprocess_mode="livemostrecent",
)
PROPENSITY_EVIDENCE = Gauge(
    "arbiter_propensity_evidence",
    "Responses that a correction is made of: older ones count less.",
    ["issue", "group", "action", "channel"],
    registry=REGISTRY,
    multiprocess_mode="livemostrecent",
)
SCORER_INFO = Gauge(
    "arbiter_scorer_info",
    "1 for what scores each model that decides: compiled, lightgbm, onnx or scorecard.",
    ["model", "scorer"],
    registry=REGISTRY,
    multiprocess_mode="max",
)
MODEL_INFO = Gauge(
    "arbiter_model_info",
    "1 for the version of each model that decides.",
    ["model", "version"],
    registry=REGISTRY,
    multiprocess_mode="max",
)
MODEL_SHARE = Gauge(
    "arbiter_model_share",
    "Share of the customers for whom each version of a model decides.",
    ["model", "version"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
DRIFT_OFFERS = Gauge(
    "arbiter_drift_offers",
    "Offers that were counted to compare a model with its training; after a day each counts half.",
    ["model"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
SCORE_PSI = Gauge(
    "arbiter_score_psi",
    "Population stability index of a model's score, against training; NaN below 200 offers.",
    ["model"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
FEATURE_PSI = Gauge(
    "arbiter_feature_psi",
    "The same of a column of what the model reads.",
    ["model", "feature"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
MISSING_SHARE = Gauge(
    "arbiter_model_missing_share",
    "Share of the offers in which a column of what the model reads had no value; only where any had none.",
    ["model", "feature"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
MISSING_SHARE_TRAINED = Gauge(
    "arbiter_model_missing_share_trained",
    "The same when the model was trained.",
    ["model", "feature"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
MODEL_EXPECTED_RESPONSES = Counter(
    "arbiter_model_expected_responses",
    "Responses that a model has promised: the sum of the propensities of what was offered, or of what was "
    "seen in a channel that reports impressions.",
    ["model", "version", "channel"],
    registry=REGISTRY,
)
MODEL_RESPONSES = Counter(
    "arbiter_model_responses",
    "Responses to what was offered, by the version that has promised them.",
    ["model", "version", "channel"],
    registry=REGISTRY,
)
SHADOW_DIFFERENCE = BatchHistogram(
    "arbiter_shadow_difference",
    "How far the propensity that a shadow gives an offered action lies from what who decides has predicted.",
    ["model", "version"],
    buckets=DIFFERENCE_BUCKETS,
    registry=REGISTRY,
)
MODEL_AGE_SECONDS = Gauge(
    "arbiter_model_age_seconds",
    "Time since the model was trained, as of the last scrape of its worker.",
    ["model"],
    registry=REGISTRY,
    multiprocess_mode="max",
)
CATALOGUE_INFO = Gauge(
    "arbiter_catalogue_info",
    "1 for the version of the catalogue that decides.",
    ["version"],
    registry=REGISTRY,
    multiprocess_mode="max",
)
WORKERS = Gauge("arbiter_workers", "Workers that are ready.", registry=REGISTRY, multiprocess_mode="livesum")


def forget_dead_workers() -> None:
    """Drop what workers that were killed have said of themselves: their gauges would stay for ever."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return
    for path in Path(folder).glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if not runs(pid):
            multiprocess.mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]


def runs(pid: str) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ValueError, OSError):
        return False
    return True


def exposition() -> bytes:
    """All metrics of all workers in Prometheus's text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    merged = CollectorRegistry()
    multiprocess.MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
    return generate_latest(merged)
