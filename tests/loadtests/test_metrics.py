"""What is read out of the service's metrics."""

import pytest

from loadtests.metrics import degraded_share


def test_degraded_decisions_are_counted_over_all_channels() -> None:
    metrics = """\
# TYPE arbiter_decisions_total counter
arbiter_decisions_total{arm="a",channel="web",mode="full"} 70.0
arbiter_decisions_total{arm="a",channel="web",mode="degraded"} 20.0
arbiter_decisions_total{arm="a",channel="push",mode="fallback"} 10.0
arbiter_decisions_created{arm="a",channel="web",mode="full"} 1.7e+09
"""
    assert degraded_share(metrics) == pytest.approx(0.3)
    assert degraded_share("") == 0
