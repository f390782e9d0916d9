"""What the service's own metrics say of a measurement."""

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families


def degraded_share(metrics: str) -> float:
    """The share of decisions made without some input, by the service's own metrics; 0 when it made none.

    A decision can be a fallback and lack some input, too: so many are counted as the input that was lacking
    most often, and no fewer than those that are not fallbacks.
    """
    modes: Counter[str] = Counter()
    lacking: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "arbiter_decisions_total":
                modes[sample.labels["mode"]] += int(sample.value)
            elif sample.name == "arbiter_degraded_total":
                lacking[sample.labels["what"]] += int(sample.value)
    return max(modes["degraded"], *lacking.values(), 0) / max(1, modes.total())
