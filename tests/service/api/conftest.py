"""What the tests of the HTTP edge share."""

import httpx
from prometheus_client.parser import text_string_to_metric_families


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """The sum of a metric over all its series with these labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
