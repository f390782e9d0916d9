"""What the service's own metrics say of a measurement."""

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families


def degraded_share(metrics: str) -> float:
    """The share of decisions made without some input, by the service's own metrics; 0 when it made none."""
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "arbiter_decisions_total":
                counts[sample.labels["mode"]] += int(sample.value)
    return 1 - counts["full"] / max(1, counts.total()) if counts else 0.0
